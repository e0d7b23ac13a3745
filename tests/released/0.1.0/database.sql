PRAGMA auto_vacuum=2;
PRAGMA page_size=4096;
PRAGMA application_id=1179605076;
PRAGMA user_version=3;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE devices (
    -- One row a tracker, made when its first message arrives.
    device        INTEGER PRIMARY KEY, -- this database's own number for it, used by every other table
    family        TEXT NOT NULL,       -- first topic level in lower case, e.g. foxtrackr
    device_id     TEXT NOT NULL,       -- deviceId of the message body: the tracker's name
    first_seen_ms INTEGER NOT NULL,    -- when its first message arrived; ms since 1970 UTC, our clock
    UNIQUE (family, device_id)
) STRICT;
INSERT INTO devices VALUES(1,'foxtrackr','1BBC0',1741608001335);
INSERT INTO devices VALUES(2,'foxtrackr','1BBCE',1741608001337);
INSERT INTO devices VALUES(3,'foxtrackr','1BBDC',1741608001337);
INSERT INTO devices VALUES(4,'foxtrackr','1BBEA',1741608001339);
INSERT INTO devices VALUES(5,'foxtrackr','1BBF8',1741608001339);
INSERT INTO devices VALUES(6,'foxtrackr','1BC06',1741608001555);
INSERT INTO devices VALUES(7,'foxtrackr','odd',1741608002695);
INSERT INTO devices VALUES(8,'foxtrackr','1BC14',1741644005118);
INSERT INTO devices VALUES(9,'foxtrackr','1BC22',1741644005118);
INSERT INTO devices VALUES(10,'foxtrackr','1BC30',1741644005118);
CREATE TABLE device_groups (
    -- A device in a group is published on the group's topic too: one row a device and group.
    group_name    TEXT NOT NULL,       -- second topic level, where it is not the deviceId of the body
    device        INTEGER NOT NULL REFERENCES devices (device),
    first_seen_ms INTEGER NOT NULL,    -- when its first message on that topic arrived; ms, our clock
    PRIMARY KEY (group_name, device)
) STRICT;
INSERT INTO device_groups VALUES('depot-north',1,1741608001519);
INSERT INTO device_groups VALUES('depot-south',2,1741608001524);
INSERT INTO device_groups VALUES('trailers',3,1741608001526);
INSERT INTO device_groups VALUES('depot-north',4,1741608001526);
INSERT INTO device_groups VALUES('depot-south',5,1741608001526);
INSERT INTO device_groups VALUES('trailers',6,1741608001555);
INSERT INTO device_groups VALUES('herd ☃',7,1741608002744);
CREATE TABLE battery (
    -- One row a battery reading (topics family/+/V3.x/bat). A device has one reading for a time.
    device       INTEGER NOT NULL REFERENCES devices (device),
    time_ms      INTEGER NOT NULL,     -- timeMs of the body: when it was measured; ms, device clock
    voltage_v    REAL,                 -- volts; NULL: not in the message
    level_pct    REAL,                 -- state of charge, percent 0 to 100; NULL: not in the message
    message_type INTEGER NOT NULL,     -- messageType of the body
    extra        TEXT,                 -- JSON: what has no column, in its place; NULL: nothing
    received_ms  INTEGER NOT NULL,     -- when the message arrived; ms, our clock
    PRIMARY KEY (device, time_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO battery VALUES(1,1741010401497,3.902000000000000135,64.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001519);
INSERT INTO battery VALUES(1,1741048805103,4.1189999999999997726,96.0,1,'{"battery":{"charging":false},"rssi":-64}',1741644005118);
INSERT INTO battery VALUES(1,1741052163520,3.8870000000000000106,62.0,1,'{"battery":{"charging":false},"rssi":-62}',1741636803647);
INSERT INTO battery VALUES(1,1741053601497,3.8839999999999998969,62.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001555);
INSERT INTO battery VALUES(1,1741064404609,3.7820000000000000284,47.0,1,'{"battery":{"charging":false},"rssi":-79}',1741640404745);
INSERT INTO battery VALUES(1,1741096801497,3.8669999999999999928,59.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001557);
INSERT INTO battery VALUES(1,1741140001497,3.8479999999999998649,57.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001558);
INSERT INTO battery VALUES(1,1741150804609,3.7530000000000001136,43.0,1,'{"battery":{"charging":false},"rssi":-79}',1741640404746);
INSERT INTO battery VALUES(1,1741173123520,3.838999999999999968,56.0,1,'{"battery":{"charging":false},"rssi":-62}',1741636803647);
INSERT INTO battery VALUES(1,1741183201497,3.8319999999999998507,55.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001559);
INSERT INTO battery VALUES(1,1741226401497,3.8180000000000000603,52.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001559);
INSERT INTO battery VALUES(1,1741237204609,3.7219999999999999751,39.0,1,'{"battery":{"charging":false},"rssi":-79}',1741640404748);
INSERT INTO battery VALUES(1,1741269601497,3.7999999999999998223,50.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001560);
INSERT INTO battery VALUES(1,1741294083520,3.7909999999999999253,49.0,1,'{"battery":{"charging":false},"rssi":-62}',1741636803657);
INSERT INTO battery VALUES(1,1741312801497,3.7829999999999999182,48.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001560);
INSERT INTO battery VALUES(1,1741323604609,3.6939999999999999502,35.0,1,'{"battery":{"charging":false},"rssi":-79}',1741640404748);
INSERT INTO battery VALUES(1,1741356001497,3.7679999999999997939,45.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001560);
INSERT INTO battery VALUES(1,1741399201497,3.7480000000000002202,43.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001561);
INSERT INTO battery VALUES(1,1741410004609,3.6619999999999999218,30.0,1,'{"battery":{"charging":false},"rssi":-79}',1741640404759);
INSERT INTO battery VALUES(1,1741415043520,3.7419999999999999928,42.0,1,'{"battery":{"charging":false},"rssi":-62}',1741636803657);
INSERT INTO battery VALUES(1,1741442401497,3.7330000000000000959,41.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001561);
INSERT INTO battery VALUES(1,1741485601497,3.7149999999999998578,38.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001561);
INSERT INTO battery VALUES(1,1741496404609,3.6280000000000001136,26.0,1,'{"battery":{"charging":false},"rssi":-79}',1741640404792);
INSERT INTO battery VALUES(1,1741528801497,3.7019999999999999573,36.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001562);
INSERT INTO battery VALUES(1,1741536003520,3.696000000000000174,35.0,1,'{"battery":{"charging":false},"rssi":-62}',1741636803657);
INSERT INTO battery VALUES(1,1741572001497,3.6840000000000001634,33.0,1,'{"battery":{"charging":false},"rssi":-90}',1741608001562);
INSERT INTO battery VALUES(1,1741582804609,3.6030000000000002025,22.0,1,'{"battery":{"charging":false},"rssi":-79}',1741640404793);
INSERT INTO battery VALUES(2,1741017601497,3.8399999999999998578,56.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001524);
INSERT INTO battery VALUES(2,1741058405103,4.0650000000000003907,88.0,1,'{"battery":{"charging":false},"rssi":-68}',1741644005118);
INSERT INTO battery VALUES(2,1741060801497,3.8140000000000000568,52.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001555);
INSERT INTO battery VALUES(2,1741072323520,4.0750000000000001776,90.0,1,'{"battery":{"charging":false},"rssi":-95}',1741636803647);
INSERT INTO battery VALUES(2,1741093204609,3.7440000000000002167,42.0,1,'{"battery":{"charging":false},"rssi":-77}',1741640404746);
INSERT INTO battery VALUES(2,1741104001497,3.7949999999999999289,49.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001557);
INSERT INTO battery VALUES(2,1741147201497,3.7719999999999997974,46.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001558);
INSERT INTO battery VALUES(2,1741179604609,3.7040000000000001811,36.0,1,'{"battery":{"charging":false},"rssi":-77}',1741640404747);
INSERT INTO battery VALUES(2,1741190401497,3.7519999999999997797,43.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001559);
INSERT INTO battery VALUES(2,1741193283520,4.025999999999999801,82.0,1,'{"battery":{"charging":false},"rssi":-95}',1741636803647);
INSERT INTO battery VALUES(2,1741233601497,3.7259999999999999786,40.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001559);
INSERT INTO battery VALUES(2,1741266004609,3.6680000000000001492,31.0,1,'{"battery":{"charging":false},"rssi":-77}',1741640404748);
INSERT INTO battery VALUES(2,1741276801497,3.7059999999999999609,36.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001560);
INSERT INTO battery VALUES(2,1741314243520,3.9780000000000002025,75.0,1,'{"battery":{"charging":false},"rssi":-95}',1741636803657);
INSERT INTO battery VALUES(2,1741320001497,3.6840000000000001634,33.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001560);
INSERT INTO battery VALUES(2,1741352404609,3.6299999999999998934,26.0,1,'{"battery":{"charging":false},"rssi":-77}',1741640404759);
INSERT INTO battery VALUES(2,1741363201497,3.6579999999999999182,30.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001560);
INSERT INTO battery VALUES(2,1741406401497,3.6349999999999997868,27.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001561);
INSERT INTO battery VALUES(2,1741435203520,3.9289999999999998259,68.0,1,'{"battery":{"charging":false},"rssi":-95}',1741636803657);
INSERT INTO battery VALUES(2,1741438804609,3.5950000000000001953,20.0,1,'{"battery":{"charging":false},"rssi":-77}',1741640404759);
INSERT INTO battery VALUES(2,1741449601497,3.616000000000000103,23.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001561);
INSERT INTO battery VALUES(2,1741492801497,3.588999999999999968,20.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001561);
INSERT INTO battery VALUES(2,1741525204609,3.5539999999999998259,15.0,1,'{"battery":{"charging":false},"rssi":-77}',1741640404792);
INSERT INTO battery VALUES(2,1741536001497,3.571000000000000174,17.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001562);
INSERT INTO battery VALUES(2,1741556163520,3.8759999999999998898,61.0,1,'{"battery":{"charging":false},"rssi":-95}',1741636803658);
INSERT INTO battery VALUES(2,1741579201497,4.1420000000000003481,99.0,1,'{"battery":{"charging":false},"rssi":-89}',1741608001562);
INSERT INTO battery VALUES(2,1741611604609,4.1159999999999996589,95.0,1,'{"battery":{"charging":false},"rssi":-77}',1741640404793);
INSERT INTO battery VALUES(3,1741024801497,4.0019999999999997797,79.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001526);
INSERT INTO battery VALUES(3,1741068001497,3.9849999999999998756,76.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001557);
INSERT INTO battery VALUES(3,1741068005103,4.0899999999999998578,91.0,1,'{"battery":{"charging":false},"rssi":-79}',1741644005118);
INSERT INTO battery VALUES(3,1741092483520,3.838999999999999968,55.0,1,'{"battery":{"charging":false},"rssi":-88}',1741636803647);
INSERT INTO battery VALUES(3,1741111201497,3.9689999999999998614,74.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001557);
INSERT INTO battery VALUES(3,1741122004609,3.7810000000000001385,47.0,1,'{"battery":{"charging":false},"rssi":-87}',1741640404746);
INSERT INTO battery VALUES(3,1741154401497,3.9510000000000000675,71.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001558);
INSERT INTO battery VALUES(3,1741197601497,3.9319999999999999396,69.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001559);
INSERT INTO battery VALUES(3,1741208404609,3.7429999999999998827,42.0,1,'{"battery":{"charging":false},"rssi":-87}',1741640404747);
INSERT INTO battery VALUES(3,1741213443520,3.7930000000000001492,49.0,1,'{"battery":{"charging":false},"rssi":-88}',1741636803647);
INSERT INTO battery VALUES(3,1741240801497,3.9150000000000000355,67.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001559);
INSERT INTO battery VALUES(3,1741284001497,3.8999999999999999111,64.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001560);
INSERT INTO battery VALUES(3,1741294804609,3.7019999999999999573,36.0,1,'{"battery":{"charging":false},"rssi":-87}',1741640404748);
INSERT INTO battery VALUES(3,1741327201497,3.8820000000000001172,62.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001560);
INSERT INTO battery VALUES(3,1741334403520,3.7530000000000001136,43.0,1,'{"battery":{"charging":false},"rssi":-88}',1741636803657);
INSERT INTO battery VALUES(3,1741370401497,3.8669999999999999928,59.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001560);
INSERT INTO battery VALUES(3,1741381204609,3.6680000000000001492,31.0,1,'{"battery":{"charging":false},"rssi":-87}',1741640404759);
INSERT INTO battery VALUES(3,1741413601497,3.8509999999999999786,57.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001561);
INSERT INTO battery VALUES(3,1741455363520,3.7109999999999998543,37.0,1,'{"battery":{"charging":false},"rssi":-88}',1741636803657);
INSERT INTO battery VALUES(3,1741456801497,3.8349999999999999644,55.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001561);
INSERT INTO battery VALUES(3,1741467604609,3.6280000000000001136,25.0,1,'{"battery":{"charging":false},"rssi":-87}',1741640404759);
INSERT INTO battery VALUES(3,1741500001497,3.8140000000000000568,52.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001561);
INSERT INTO battery VALUES(3,1741543201497,3.7989999999999999324,50.0,1,'{"battery":{"charging":false},"rssi":-77}',1741608001562);
INSERT INTO battery VALUES(3,1741554004609,3.5910000000000001918,20.0,1,'{"battery":{"charging":false},"rssi":-87}',1741640404793);
INSERT INTO battery VALUES(3,1741576323520,3.669000000000000039,31.0,1,'{"battery":{"charging":false},"rssi":-88}',1741636803658);
INSERT INTO battery VALUES(4,1741032001497,3.7459999999999999964,42.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001526);
INSERT INTO battery VALUES(4,1741075201497,3.7280000000000002025,39.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001557);
INSERT INTO battery VALUES(4,1741077605103,3.963999999999999968,74.0,1,'{"battery":{"charging":false},"rssi":-61}',1741644005118);
INSERT INTO battery VALUES(4,1741112643520,3.8100000000000000532,51.0,1,'{"battery":{"charging":false},"rssi":-91}',1741636803647);
INSERT INTO battery VALUES(4,1741118401497,3.705000000000000071,36.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001558);
INSERT INTO battery VALUES(4,1741161601497,3.6800000000000001598,33.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001558);
INSERT INTO battery VALUES(4,1741204801497,3.6579999999999999182,30.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001559);
INSERT INTO battery VALUES(4,1741233603520,3.7459999999999999964,42.0,1,'{"battery":{"charging":false},"rssi":-91}',1741636803647);
INSERT INTO battery VALUES(4,1741248001497,3.6379999999999999005,27.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001560);
INSERT INTO battery VALUES(4,1741291201497,3.6139999999999998792,24.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001560);
INSERT INTO battery VALUES(4,1741334401497,3.5899999999999998578,20.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001560);
INSERT INTO battery VALUES(4,1741354563520,3.6800000000000001598,33.0,1,'{"battery":{"charging":false},"rssi":-91}',1741636803657);
INSERT INTO battery VALUES(4,1741377601497,3.5689999999999999502,17.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001561);
INSERT INTO battery VALUES(4,1741420801497,4.1410000000000000142,99.0,1,'{"battery":{"charging":true},"rssi":-68}',1741608001561);
INSERT INTO battery VALUES(4,1741464001497,4.1189999999999997726,96.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001561);
INSERT INTO battery VALUES(4,1741475523520,3.6169999999999999928,24.0,1,'{"battery":{"charging":false},"rssi":-91}',1741636803657);
INSERT INTO battery VALUES(4,1741507201497,4.1009999999999999786,93.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001562);
INSERT INTO battery VALUES(4,1741550401497,4.0780000000000002913,90.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001562);
INSERT INTO battery VALUES(4,1741596483520,4.1470000000000002415,100.0,1,'{"battery":{"charging":true},"rssi":-91}',1741636803658);
INSERT INTO battery VALUES(5,1741039201497,3.9759999999999999786,75.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001526);
INSERT INTO battery VALUES(5,1741082401497,3.9519999999999999573,72.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001557);
INSERT INTO battery VALUES(5,1741087205103,3.7549999999999998934,43.0,1,'{"battery":{"charging":false},"rssi":-69}',1741644005118);
INSERT INTO battery VALUES(5,1741125601497,3.9270000000000000461,69.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001558);
INSERT INTO battery VALUES(5,1741132803520,4.0080000000000000071,80.0,1,'{"battery":{"charging":false},"rssi":-83}',1741636803647);
INSERT INTO battery VALUES(5,1741168801497,3.9089999999999998081,65.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001558);
INSERT INTO battery VALUES(5,1741212001497,3.8849999999999997868,62.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001559);
INSERT INTO battery VALUES(5,1741253763520,3.927999999999999936,68.0,1,'{"battery":{"charging":false},"rssi":-83}',1741636803657);
INSERT INTO battery VALUES(5,1741255201497,3.8639999999999998792,59.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001560);
INSERT INTO battery VALUES(5,1741298401497,3.8429999999999999715,56.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001560);
INSERT INTO battery VALUES(5,1741341601497,3.8170000000000001705,53.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001560);
INSERT INTO battery VALUES(5,1741374723520,3.8450000000000001953,57.0,1,'{"battery":{"charging":false},"rssi":-83}',1741636803657);
INSERT INTO battery VALUES(5,1741384801497,3.7930000000000001492,49.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001561);
INSERT INTO battery VALUES(5,1741428001497,3.7749999999999999111,46.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001561);
INSERT INTO battery VALUES(5,1741471201497,3.75,43.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001561);
INSERT INTO battery VALUES(5,1741495683520,3.7679999999999997939,45.0,1,'{"battery":{"charging":false},"rssi":-83}',1741636803657);
INSERT INTO battery VALUES(5,1741514401497,3.7269999999999998685,40.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001562);
INSERT INTO battery VALUES(5,1741557601497,3.7080000000000001847,37.0,1,'{"battery":{"charging":false},"rssi":-68}',1741608001562);
INSERT INTO battery VALUES(5,1741616643520,3.686999999999999833,34.0,1,'{"battery":{"charging":false},"rssi":-83}',1741636803658);
INSERT INTO battery VALUES(6,1741046401497,3.9710000000000000852,75.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001555);
INSERT INTO battery VALUES(6,1741089601497,3.9510000000000000675,72.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001557);
INSERT INTO battery VALUES(6,1741096805103,3.8469999999999999751,57.0,1,'{"battery":{"charging":false},"rssi":-60}',1741644005118);
INSERT INTO battery VALUES(6,1741132801497,3.9340000000000001634,69.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001558);
INSERT INTO battery VALUES(6,1741152963520,3.8290000000000001811,54.0,1,'{"battery":{"charging":false},"rssi":-67}',1741636803647);
INSERT INTO battery VALUES(6,1741176001497,3.9119999999999999218,66.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001559);
INSERT INTO battery VALUES(6,1741219201497,3.8950000000000000177,63.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001559);
INSERT INTO battery VALUES(6,1741262401497,3.8740000000000001101,61.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001560);
INSERT INTO battery VALUES(6,1741273923520,3.7909999999999999253,48.0,1,'{"battery":{"charging":false},"rssi":-67}',1741636803657);
INSERT INTO battery VALUES(6,1741305601497,3.8540000000000000923,58.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001560);
INSERT INTO battery VALUES(6,1741348801497,3.838999999999999968,55.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001560);
INSERT INTO battery VALUES(6,1741392001497,3.8149999999999999467,52.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001561);
INSERT INTO battery VALUES(6,1741394883520,3.7480000000000002202,43.0,1,'{"battery":{"charging":false},"rssi":-67}',1741636803657);
INSERT INTO battery VALUES(6,1741435201497,3.7989999999999999324,50.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001561);
INSERT INTO battery VALUES(6,1741478401497,3.7799999999999998046,47.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001561);
INSERT INTO battery VALUES(6,1741515843520,3.705000000000000071,37.0,1,'{"battery":{"charging":false},"rssi":-67}',1741636803657);
INSERT INTO battery VALUES(6,1741521601497,3.7580000000000000071,44.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001562);
INSERT INTO battery VALUES(6,1741564801497,3.7360000000000002096,41.0,1,'{"battery":{"charging":false},"rssi":-73}',1741608001562);
INSERT INTO battery VALUES(6,1741636803520,3.6640000000000001456,31.0,1,'{"battery":{"charging":false},"rssi":-67}',1741636803658);
INSERT INTO battery VALUES(7,1741608002603,3.7000000000000001776,81.0,1,'{"battery":{"cycles":[1,{"n":2}]}}',1741608002695);
INSERT INTO battery VALUES(8,1741106405103,3.8629999999999999893,59.0,1,'{"battery":{"charging":false},"rssi":-88}',1741644005118);
INSERT INTO battery VALUES(9,1741116005103,3.8650000000000002131,59.0,1,'{"battery":{"charging":false},"rssi":-90}',1741644005118);
INSERT INTO battery VALUES(10,1741125605103,3.9249999999999998223,68.0,1,'{"battery":{"charging":false},"rssi":-64}',1741644005118);
CREATE TABLE temperature (
    -- One row a temperature reading (topics family/+/V3.x/temp).
    device       INTEGER NOT NULL REFERENCES devices (device),
    time_ms      INTEGER NOT NULL,     -- timeMs of the body: when it was measured; ms, device clock
    celsius      REAL,                 -- degrees Celsius; NULL: not in the message
    message_type INTEGER NOT NULL,     -- messageType of the body
    extra        TEXT,                 -- JSON: what has no column, in its place; NULL: nothing
    received_ms  INTEGER NOT NULL,     -- when the message arrived; ms, our clock
    PRIMARY KEY (device, time_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO temperature VALUES(1,1741010401497,19.089999999999999857,2,'{"temperature":{"sensor":"internal"}}',1741608001524);
INSERT INTO temperature VALUES(1,1741048805103,4.2199999999999997513,2,'{"temperature":{"sensor":"internal"}}',1741644005118);
INSERT INTO temperature VALUES(1,1741052163520,5.0899999999999998578,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(1,1741053601497,3.6400000000000001243,2,'{"temperature":{"sensor":"internal"}}',1741608001555);
INSERT INTO temperature VALUES(1,1741064404609,5.5899999999999998578,2,'{"temperature":{"sensor":"internal"}}',1741640404746);
INSERT INTO temperature VALUES(1,1741096801497,18.690000000000001278,2,'{"temperature":{"sensor":"internal"}}',1741608001557);
INSERT INTO temperature VALUES(1,1741140001497,3.6000000000000000888,2,'{"temperature":{"sensor":"internal"}}',1741608001558);
INSERT INTO temperature VALUES(1,1741150804609,5.1600000000000001421,2,'{"temperature":{"sensor":"internal"}}',1741640404747);
INSERT INTO temperature VALUES(1,1741173123520,14.810000000000000496,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(1,1741183201497,18.879999999999999005,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(1,1741226401497,4.2400000000000002131,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(1,1741237204609,5.7800000000000002486,2,'{"temperature":{"sensor":"internal"}}',1741640404748);
INSERT INTO temperature VALUES(1,1741269601497,19.25,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(1,1741294083520,12.439999999999999502,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(1,1741312801497,3.75,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(1,1741323604609,5.0899999999999998578,2,'{"temperature":{"sensor":"internal"}}',1741640404748);
INSERT INTO temperature VALUES(1,1741356001497,19.260000000000001563,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(1,1741399201497,4.2000000000000001776,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(1,1741410004609,5.8399999999999998578,2,'{"temperature":{"sensor":"internal"}}',1741640404759);
INSERT INTO temperature VALUES(1,1741415043520,5.75,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(1,1741442401497,19.170000000000001705,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(1,1741485601497,3.7000000000000001776,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(1,1741496404609,5.2599999999999997868,2,'{"temperature":{"sensor":"internal"}}',1741640404792);
INSERT INTO temperature VALUES(1,1741528801497,18.679999999999999715,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(1,1741536003520,18.789999999999999147,2,'{"temperature":{"sensor":"internal"}}',1741636803658);
INSERT INTO temperature VALUES(1,1741572001497,4.1299999999999998934,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(1,1741582804609,5.3399999999999998578,2,'{"temperature":{"sensor":"internal"}}',1741640404793);
INSERT INTO temperature VALUES(2,1741017601497,18.410000000000000142,2,'{"temperature":{"sensor":"internal"}}',1741608001526);
INSERT INTO temperature VALUES(2,1741058405103,4.0499999999999998223,2,'{"temperature":{"sensor":"internal"}}',1741644005118);
INSERT INTO temperature VALUES(2,1741060801497,4.3700000000000001065,2,'{"temperature":{"sensor":"internal"}}',1741608001555);
INSERT INTO temperature VALUES(2,1741072323520,7.4199999999999999289,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(2,1741093204609,18.480000000000000426,2,'{"temperature":{"sensor":"internal"}}',1741640404746);
INSERT INTO temperature VALUES(2,1741104001497,18.309999999999998721,2,'{"temperature":{"sensor":"internal"}}',1741608001557);
INSERT INTO temperature VALUES(2,1741147201497,4.5499999999999998223,2,'{"temperature":{"sensor":"internal"}}',1741608001558);
INSERT INTO temperature VALUES(2,1741179604609,17.850000000000001421,2,'{"temperature":{"sensor":"internal"}}',1741640404747);
INSERT INTO temperature VALUES(2,1741190401497,18.920000000000001705,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(2,1741193283520,18.109999999999999431,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(2,1741233601497,4.5,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(2,1741266004609,18.539999999999999147,2,'{"temperature":{"sensor":"internal"}}',1741640404748);
INSERT INTO temperature VALUES(2,1741276801497,18.440000000000001278,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(2,1741314243520,4.2000000000000001776,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(2,1741320001497,4.3499999999999996447,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(2,1741352404609,17.989999999999998436,2,'{"temperature":{"sensor":"internal"}}',1741640404759);
INSERT INTO temperature VALUES(2,1741363201497,18.739999999999998436,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(2,1741406401497,4.6200000000000001065,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(2,1741435203520,16.410000000000000142,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(2,1741438804609,18.0,2,'{"temperature":{"sensor":"internal"}}',1741640404759);
INSERT INTO temperature VALUES(2,1741449601497,18.440000000000001278,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(2,1741492801497,4.4299999999999997157,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(2,1741525204609,18.25,2,'{"temperature":{"sensor":"internal"}}',1741640404793);
INSERT INTO temperature VALUES(2,1741536001497,18.719999999999998863,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(2,1741556163520,10.199999999999999289,2,'{"temperature":{"sensor":"internal"}}',1741636803658);
INSERT INTO temperature VALUES(2,1741579201497,4.080000000000000071,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(2,1741611604609,18.210000000000000852,2,'{"temperature":{"sensor":"internal"}}',1741640404793);
INSERT INTO temperature VALUES(3,1741024801497,16.859999999999999431,2,'{"temperature":{"sensor":"internal"}}',1741608001526);
INSERT INTO temperature VALUES(3,1741068001497,5.9699999999999997513,2,'{"temperature":{"sensor":"internal"}}',1741608001557);
INSERT INTO temperature VALUES(3,1741068005103,5.7400000000000002131,2,'{"temperature":{"sensor":"internal"}}',1741644005118);
INSERT INTO temperature VALUES(3,1741092483520,18.609999999999999431,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(3,1741111201497,16.670000000000001705,2,'{"temperature":{"sensor":"internal"}}',1741608001557);
INSERT INTO temperature VALUES(3,1741122004609,11.650000000000000355,2,'{"temperature":{"sensor":"internal"}}',1741640404746);
INSERT INTO temperature VALUES(3,1741154401497,5.7900000000000000355,2,'{"temperature":{"sensor":"internal"}}',1741608001558);
INSERT INTO temperature VALUES(3,1741197601497,17.070000000000000283,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(3,1741208404609,11.619999999999999218,2,'{"temperature":{"sensor":"internal"}}',1741640404748);
INSERT INTO temperature VALUES(3,1741213443520,7.5199999999999995736,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(3,1741240801497,5.9400000000000003907,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(3,1741284001497,16.469999999999998863,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(3,1741294804609,12.05000000000000071,2,'{"temperature":{"sensor":"internal"}}',1741640404748);
INSERT INTO temperature VALUES(3,1741327201497,5.7999999999999998223,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(3,1741334403520,10.810000000000000497,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(3,1741370401497,16.570000000000000284,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(3,1741381204609,12.210000000000000852,2,'{"temperature":{"sensor":"internal"}}',1741640404759);
INSERT INTO temperature VALUES(3,1741413601497,5.6399999999999996802,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(3,1741455363520,16.199999999999999289,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(3,1741456801497,16.609999999999999431,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(3,1741467604609,12.30000000000000071,2,'{"temperature":{"sensor":"internal"}}',1741640404791);
INSERT INTO temperature VALUES(3,1741500001497,5.7300000000000004263,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(3,1741543201497,16.879999999999999004,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(3,1741554004609,11.869999999999999218,2,'{"temperature":{"sensor":"internal"}}',1741640404793);
INSERT INTO temperature VALUES(3,1741576323520,3.8700000000000001065,2,'{"temperature":{"sensor":"internal"}}',1741636803658);
INSERT INTO temperature VALUES(4,1741032001497,11.509999999999999786,2,'{"temperature":{"sensor":"internal"}}',1741608001526);
INSERT INTO temperature VALUES(4,1741075201497,11.199999999999999289,2,'{"temperature":{"sensor":"internal"}}',1741608001557);
INSERT INTO temperature VALUES(4,1741077605103,10.58000000000000007,2,'{"temperature":{"sensor":"internal"}}',1741644005118);
INSERT INTO temperature VALUES(4,1741112643520,15.25,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(4,1741118401497,11.499999999999999999,2,'{"temperature":{"sensor":"internal"}}',1741608001558);
INSERT INTO temperature VALUES(4,1741161601497,11.369999999999999218,2,'{"temperature":{"sensor":"internal"}}',1741608001558);
INSERT INTO temperature VALUES(4,1741204801497,11.419999999999999928,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(4,1741233603520,4.8700000000000001065,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(4,1741248001497,11.380000000000000781,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(4,1741291201497,11.669999999999999928,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(4,1741334401497,11.419999999999999928,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(4,1741354563520,18.699999999999999289,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(4,1741377601497,11.949999999999999289,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(4,1741420801497,11.080000000000000071,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(4,1741464001497,11.339999999999999857,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(4,1741475523520,6.6100000000000003197,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(4,1741507201497,11.470000000000000639,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(4,1741550401497,11.480000000000000426,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(4,1741596483520,12.5,2,'{"temperature":{"sensor":"internal"}}',1741636803658);
INSERT INTO temperature VALUES(5,1741039201497,9.7300000000000004263,2,'{"temperature":{"sensor":"internal"}}',1741608001526);
INSERT INTO temperature VALUES(5,1741082401497,13.150000000000000355,2,'{"temperature":{"sensor":"internal"}}',1741608001557);
INSERT INTO temperature VALUES(5,1741087205103,16.960000000000000852,2,'{"temperature":{"sensor":"internal"}}',1741644005118);
INSERT INTO temperature VALUES(5,1741125601497,9.9499999999999992894,2,'{"temperature":{"sensor":"internal"}}',1741608001558);
INSERT INTO temperature VALUES(5,1741132803520,6.2599999999999997868,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(5,1741168801497,12.839999999999999857,2,'{"temperature":{"sensor":"internal"}}',1741608001558);
INSERT INTO temperature VALUES(5,1741212001497,9.7200000000000006394,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(5,1741253763520,12.859999999999999431,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(5,1741255201497,12.640000000000000568,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(5,1741298401497,9.7599999999999997868,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(5,1741341601497,13.160000000000000141,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(5,1741374723520,14.730000000000000425,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(5,1741384801497,10.02999999999999936,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(5,1741428001497,13.25,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(5,1741471201497,9.6600000000000001421,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(5,1741495683520,4.7800000000000002486,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(5,1741514401497,12.679999999999999715,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(5,1741557601497,9.9800000000000004263,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(5,1741616643520,18.699999999999999289,2,'{"temperature":{"sensor":"internal"}}',1741636803658);
INSERT INTO temperature VALUES(6,1741046401497,6.8899999999999996802,2,'{"temperature":{"sensor":"internal"}}',1741608001555);
INSERT INTO temperature VALUES(6,1741089601497,15.769999999999999573,2,'{"temperature":{"sensor":"internal"}}',1741608001557);
INSERT INTO temperature VALUES(6,1741096805103,18.480000000000000426,2,'{"temperature":{"sensor":"internal"}}',1741644005118);
INSERT INTO temperature VALUES(6,1741132801497,7.3600000000000003197,2,'{"temperature":{"sensor":"internal"}}',1741608001558);
INSERT INTO temperature VALUES(6,1741152963520,7.9100000000000001421,2,'{"temperature":{"sensor":"internal"}}',1741636803647);
INSERT INTO temperature VALUES(6,1741176001497,15.349999999999999645,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(6,1741219201497,7.1399999999999996802,2,'{"temperature":{"sensor":"internal"}}',1741608001559);
INSERT INTO temperature VALUES(6,1741262401497,15.929999999999999715,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(6,1741273923520,17.620000000000000994,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(6,1741305601497,7.0599999999999996092,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(6,1741348801497,15.810000000000000497,2,'{"temperature":{"sensor":"internal"}}',1741608001560);
INSERT INTO temperature VALUES(6,1741392001497,7.3600000000000003197,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(6,1741394883520,3.8599999999999998756,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(6,1741435201497,15.75,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(6,1741478401497,7.2800000000000002486,2,'{"temperature":{"sensor":"internal"}}',1741608001561);
INSERT INTO temperature VALUES(6,1741515843520,16.469999999999998863,2,'{"temperature":{"sensor":"internal"}}',1741636803657);
INSERT INTO temperature VALUES(6,1741521601497,15.400000000000000355,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(6,1741564801497,7.2099999999999999644,2,'{"temperature":{"sensor":"internal"}}',1741608001562);
INSERT INTO temperature VALUES(6,1741636803520,9.8399999999999998578,2,'{"temperature":{"sensor":"internal"}}',1741636803658);
INSERT INTO temperature VALUES(7,1741608002603,-1.25,1,'{"temperature":{"sensor":"probe"}}',1741608002735);
INSERT INTO temperature VALUES(8,1741106405103,17.80999999999999872,2,'{"temperature":{"sensor":"internal"}}',1741644005118);
INSERT INTO temperature VALUES(9,1741116005103,11.099999999999999644,2,'{"temperature":{"sensor":"internal"}}',1741644005118);
INSERT INTO temperature VALUES(10,1741125605103,5.8600000000000003197,2,'{"temperature":{"sensor":"internal"}}',1741644005118);
CREATE TABLE quarantine (
    -- Messages that could not be understood, byte for byte. Nothing is thrown away.
    digest            BLOB PRIMARY KEY NOT NULL, -- SHA-256 of topic length (8 bytes, big endian),
                                                 -- topic and payload
    topic             ANY NOT NULL,     -- TEXT; a BLOB where the topic is not valid UTF-8
    payload           BLOB NOT NULL,    -- as it came; only its beginning where reason is oversize
    reason            TEXT NOT NULL,    -- topic, version, encoding, json, envelope, body, time,
                                        -- conflict or oversize
    detail            TEXT NOT NULL,    -- what exactly is wrong, a sentence
    first_received_ms INTEGER NOT NULL, -- when it arrived first; ms, our clock
    last_received_ms  INTEGER NOT NULL, -- when it arrived last; reason and detail are of then
    occurrences       INTEGER NOT NULL  -- how often it arrived
) STRICT;
INSERT INTO quarantine VALUES(X'0b986d2d51016448c8b8f8dd7535489c3895f2852138a9f0f7897b28b903b572','foxtrackr/1BBCE/V3.0',X'7b226d65737361676554797065223a312c226e223a307d','topic','topic "foxtrackr/1BBCE/V3.0": expected family/device-or-group/version/type, found 3 levels',1741608001525,1741644005118,2);
INSERT INTO quarantine VALUES(X'ffc1d13a2b91f037716538975754fbaa86918736fad7afab7a46a545101127e2','foxtrackr/1BC06/v1.0/bat',X'7b226d65737361676554797065223a312c226e223a317d','version','topic level 3: expected V3 or V3.x, found "v1.0"',1741608001558,1741608001558,1);
INSERT INTO quarantine VALUES(X'80e1dac96c3c090a27f598a1aea8289a6263547bb654e666a1f1d4e7ecb8dd13','foxtrackr/1BBEA/V3.0/temp',X'b0007b22756e6974223a2243222c226e223a327d','encoding','payload byte 0: 0xB0 is not UTF-8',1741608001560,1741608001560,1);
INSERT INTO quarantine VALUES(X'4884342096cdf9eb517571cfc3e507136f71a2b024d78acaa333f6d0ad8dd94b','foxtrackr/1BBCE/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313336333230313439372c226261747433','json','payload line 1, column 77: premature end of input near ''"batt3''',1741608001560,1741608001560,1);
INSERT INTO quarantine VALUES(X'c2d5bd511bed2a1fb1ffafa599a08cab69932e90ec67b389317e801d6a81e9da','foxtrackr/1BC06/V3.0/bat',X'7b226d65737361676554797065223a312c2276657273696f6e223a332c2274696d654d73223a313734313437383430313439372c2262617474657279223a7b22766f6c74616765223a342c226e223a347d7d','envelope','$.deviceId: expected a string that is not empty, or an integer, found nothing',1741608001561,1741608001561,1);
INSERT INTO quarantine VALUES(X'973b6263436df13074d5b7033606e8e6df09dfd285791217528b070d5a40868e','foxtrackr/odd/V3.0/bat',X'7b226d65737361676554797065223a20312c20226465766963654964223a20226f6464222c202276657273696f6e223a20332c202274696d654d73223a20313734313630383030323630332c202262617474657279223a207b22766f6c74616765223a20332e362c20226c6576656c223a2038317d7d','conflict','battery.voltage_v is 3.7 for this device and time, the message says 3.6',1741608002706,1741608002706,1);
INSERT INTO quarantine VALUES(X'38c5c2791e1fd284950bdb718a50b3c6f62dd63c073af244312c2b3737e2afc2','foxtrackr/odd/V3.0/bat',X'7b226d65737361676554797065223a20312c20226465766963654964223a20226f6464222c202276657273696f6e223a20332c202274696d654d73223a20313734313738303830323630332c202262617474657279223a207b22766f6c74616765223a20332e357d7d','time','$.timeMs: 2025-03-12T12:00:02.603Z is in the future, the latest accepted is 2025-03-11T12:00:02.756Z',1741608002756,1741608002756,1);
INSERT INTO quarantine VALUES(X'31660054e8e8c65f04685838c31cb0e305fbfd992f6527b10451c629c0970ead','foxtrackr/odd/V2.0/bat',X'7b226d65737361676554797065223a20312c20226465766963654964223a20226f6464222c202276657273696f6e223a20332c202274696d654d73223a20313734313630383030323630332c202262617474657279223a207b22766f6c74616765223a20332e357d7d','version','topic level 3: expected V3 or V3.x, found "V2.0"',1741608002792,1741608002792,1);
INSERT INTO quarantine VALUES(X'33efae6d1cbe994de3d6899d1a15b5a979ccd0cf91e471495e11a90c827870f4','foxtrackr/odd/bat',X'7b226d65737361676554797065223a20312c20226465766963654964223a20226f6464222c202276657273696f6e223a20332c202274696d654d73223a20313734313630383030323630332c202262617474657279223a207b22766f6c74616765223a20332e357d7d','topic','topic "foxtrackr/odd/bat": expected family/device-or-group/version/type, found 3 levels',1741608002807,1741608002807,1);
INSERT INTO quarantine VALUES(X'b4436c7ac13adab06a62c884fef8375d781ed0eab5b08ff61db8ab7fbcf4201e','foxtrackr/odd/V3.0/bat',X'7b226d65737361676554797065223a20312c20226465766963654964223a20372e352c202276657273696f6e223a20332c202274696d654d73223a20313734313630383030323630332c202262617474657279223a207b22766f6c74616765223a20332e357d7d','envelope','$.deviceId: expected a string that is not empty, or an integer, found real 7.5',1741608002817,1741608002817,1);
INSERT INTO quarantine VALUES(X'6dc0b64573e1e6291a40cf66b65dc538bb0a94171f4521b660b7a53eee6a7954','foxtrackr/odd/V3.0/bat',X'7b','json','payload line 1, column 1: string or ''}'' expected near end of file',1741608002853,1741608002884,2);
INSERT INTO quarantine VALUES(X'071f17c4f4e552e8846be27bb8167ffa0f0960618beaf58eff840036c611030c','foxtrackr/odd/V3.0/note',X'22787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878','oversize','payload of 1502 bytes, over max_payload = 1024; its SHA-256 is d3406770c597ec534f1f0833b904824803df2ddb4f4a5852ec5d4f1831c2d0c4',1741608002895,1741608002895,1);
CREATE TABLE gaps (
    -- Times for which data may be missing: the broker lost a session and the queue in it.
    client_id       TEXT NOT NULL,     -- MQTT client id of the session
    last_durable_ms INTEGER,           -- last commit with data of this session; ms, our clock; NULL: unknown
    resumed_ms      INTEGER NOT NULL,  -- when the broker made a new session; ms, our clock
    reason          TEXT NOT NULL,     -- session lost, session uncertain
    PRIMARY KEY (client_id, resumed_ms)
) STRICT;
INSERT INTO gaps VALUES('id-test-01',1741636803660,1741640404533,'session lost');
CREATE TABLE runs (
    -- One row a run of the daemon: where every message went.
    run         INTEGER PRIMARY KEY,       -- counts up
    started_ms  INTEGER NOT NULL,          -- ms, our clock
    stopped_ms  INTEGER,                   -- ms, our clock; NULL: still running, or it was killed
    version     TEXT NOT NULL,             -- version of foxtrackrd
    received    INTEGER NOT NULL DEFAULT 0, -- messages; always stored + duplicate + quarantined
    stored      INTEGER NOT NULL DEFAULT 0, -- became at least one new row
    duplicate   INTEGER NOT NULL DEFAULT 0, -- their rows were there, with the same values
    quarantined INTEGER NOT NULL DEFAULT 0, -- are in quarantine
    CHECK (received = stored + duplicate + quarantined)
) STRICT;
INSERT INTO runs VALUES(1,1741608000864,1741608003003,'0.1.0',396,223,160,13);
INSERT INTO runs VALUES(2,1741636803159,NULL,'0.1.0',60,60,0,0);
INSERT INTO runs VALUES(3,1741640404224,1741640405045,'0.1.0',40,40,0,0);
INSERT INTO runs VALUES(4,1741644005252,NULL,'0.1.0',21,20,0,1);
CREATE TABLE sessions (
    -- The daemon's memory: one row a client id.
    client_id       TEXT NOT NULL PRIMARY KEY, -- MQTT client id
    established_ms  INTEGER, -- when the broker last made the session; ms, our clock; NULL: none known
    last_durable_ms INTEGER, -- last commit with data of this session; ms, our clock; NULL: none yet
    connecting      INTEGER NOT NULL DEFAULT 0 -- 1: a CONNECT was sent and its outcome is not known
) STRICT;
INSERT INTO sessions VALUES('id-test-01',1741640404533,1741640404793,0);
CREATE TABLE subscriptions (
    -- The daemon's memory: the subscriptions that the broker holds for us.
    client_id     TEXT NOT NULL,       -- MQTT client id
    filter        TEXT NOT NULL,       -- topic filter, e.g. foxtrackr/#
    qos           INTEGER NOT NULL,    -- as granted: 0, 1 or 2
    subscribed_ms INTEGER NOT NULL,    -- when it was last granted; ms, our clock
    PRIMARY KEY (client_id, filter)
) STRICT;
INSERT INTO subscriptions VALUES('id-test-01','foxtrackr/#',2,1741640404535);
CREATE TABLE expired (
    -- What retention has deleted: one row a run of the daemon and table that it deleted from.
    run        INTEGER NOT NULL REFERENCES runs (run), -- the run that deleted them
    table_name TEXT NOT NULL,    -- battery, temperature, messages or quarantine
    row_count  INTEGER NOT NULL, -- rows deleted in that run
    before_ms  INTEGER NOT NULL, -- all of them were older than this; ms, our clock
    last_ms    INTEGER NOT NULL, -- when the last of them were deleted; ms, our clock
    PRIMARY KEY (run, table_name)
) STRICT, WITHOUT ROWID;
INSERT INTO expired VALUES(2,'battery',20,1715716803311,1741636803311);
INSERT INTO expired VALUES(2,'temperature',20,1715716803311,1741636803311);
CREATE TABLE messages (
    -- Every other type of message, whole. Read into it with body ->> '$.path'.
    device       INTEGER NOT NULL REFERENCES devices (device),
    type         TEXT NOT NULL,        -- last topic level, e.g. gps
    time_ms      INTEGER NOT NULL,     -- timeMs of the body; ms, device clock
    version      TEXT NOT NULL,        -- third topic level, e.g. V3.0
    message_type INTEGER NOT NULL,     -- messageType of the body
    body         TEXT NOT NULL,        -- the payload: JSON, as it came
    digest       BLOB NOT NULL,        -- SHA-256 of the payload: a repeated message is one row
    received_ms  INTEGER NOT NULL,     -- when the message arrived; ms, our clock
    PRIMARY KEY (device, time_ms, type, digest)
) STRICT;
INSERT INTO messages VALUES(2,'gps',1741017601497,'V3.0',7,'{"messageType":7,"deviceId":"1BBCE","version":3,"timeMs":1741017601497,"gps":{"lat":52.01166,"lon":5.11977,"fix":0}}',X'c69280d7ac8ab406393bb86869b7fd5f5a995bf9016db6549f35eacbbe0258aa',1741608001525);
INSERT INTO messages VALUES(6,'gps',1741046401497,'V3.0',7,'{"messageType":7,"deviceId":"1BC06","version":3,"timeMs":1741046401497,"gps":{"lat":52.90209,"lon":4.51071,"fix":1}}',X'b9a769413331f8128f4ef1dba7eda875518f644da2d6ac356c5a46c14ae32b84',1741608001555);
INSERT INTO messages VALUES(4,'gps',1741075201497,'V3.0',7,'{"messageType":7,"deviceId":"1BBEA","version":3,"timeMs":1741075201497,"gps":{"lat":52.17526,"lon":5.35098,"fix":2}}',X'6d7162827b63345e897488b164884514fae4fd9f2640efdafbf6f7a9decf6e73',1741608001557);
INSERT INTO messages VALUES(2,'gps',1741104001497,'V3.0',7,'{"messageType":7,"deviceId":"1BBCE","version":3,"timeMs":1741104001497,"gps":{"lat":52.40231,"lon":4.85607,"fix":3}}',X'e017218efa82cab00de68001c2266666e0e8dd3780f0c16bb91a143cae4f2193',1741608001557);
INSERT INTO messages VALUES(6,'gps',1741132801497,'V3.0',7,'{"messageType":7,"deviceId":"1BC06","version":3,"timeMs":1741132801497,"gps":{"lat":52.58150,"lon":4.67712,"fix":4}}',X'9f322ffdd31e083960ff9ebe0f68d2d4bfd5161b393a5b13715e32db340bcccf',1741608001558);
INSERT INTO messages VALUES(4,'gps',1741161601497,'V3.0',7,'{"messageType":7,"deviceId":"1BBEA","version":3,"timeMs":1741161601497,"gps":{"lat":52.54891,"lon":4.87516,"fix":5}}',X'5947a83fed052b3fe960ee40b9041169ab1de464ea688362da83b34b1546f0e8',1741608001558);
INSERT INTO messages VALUES(2,'gps',1741190401497,'V3.0',7,'{"messageType":7,"deviceId":"1BBCE","version":3,"timeMs":1741190401497,"gps":{"lat":52.75970,"lon":5.43000,"fix":6}}',X'83620830d59be9c1e70dac41219d2646244ef264b15f17df8cbbbd4cb02ffde6',1741608001559);
INSERT INTO messages VALUES(6,'gps',1741219201497,'V3.0',7,'{"messageType":7,"deviceId":"1BC06","version":3,"timeMs":1741219201497,"gps":{"lat":52.12659,"lon":5.47022,"fix":7}}',X'99bdd0362b2ca55c8af258398d7de545eca75402a45f60f2bf2ba68ac1163cf9',1741608001559);
INSERT INTO messages VALUES(4,'gps',1741248001497,'V3.0',7,'{"messageType":7,"deviceId":"1BBEA","version":3,"timeMs":1741248001497,"gps":{"lat":52.00018,"lon":5.38035,"fix":8}}',X'1137b3a78b974203a3edfd9a0d8f99a76bf0e6c8988a73ab621692ed6336cb41',1741608001560);
INSERT INTO messages VALUES(2,'gps',1741276801497,'V3.0',7,'{"messageType":7,"deviceId":"1BBCE","version":3,"timeMs":1741276801497,"gps":{"lat":52.99649,"lon":4.59901,"fix":9}}',X'e49758a51089c4c3d5f87aca2989972f3c68500945c01cfd77cf3634ea758ab2',1741608001560);
INSERT INTO messages VALUES(6,'gps',1741305601497,'V3.0',7,'{"messageType":7,"deviceId":"1BC06","version":3,"timeMs":1741305601497,"gps":{"lat":52.45845,"lon":4.97971,"fix":10}}',X'43cd9e5be24a65d71deacb46d448eacfd93674c36b01ebd0cc47e69dc7922c86',1741608001560);
INSERT INTO messages VALUES(4,'gps',1741334401497,'V3.0',7,'{"messageType":7,"deviceId":"1BBEA","version":3,"timeMs":1741334401497,"gps":{"lat":52.54643,"lon":5.02499,"fix":11}}',X'1c3cee115e16b5e753ac3ab23fad24e8191a2f2b61d6b9240b3f9eba68aaa0a3',1741608001560);
INSERT INTO messages VALUES(2,'gps',1741363201497,'V3.0',7,'{"messageType":7,"deviceId":"1BBCE","version":3,"timeMs":1741363201497,"gps":{"lat":52.01369,"lon":4.71051,"fix":12}}',X'6ca85b4f60bbb69c7692b8c49777c382b200316ddb5a132a65e4a176b80de71f',1741608001560);
INSERT INTO messages VALUES(6,'gps',1741392001497,'V3.0',7,'{"messageType":7,"deviceId":"1BC06","version":3,"timeMs":1741392001497,"gps":{"lat":52.97060,"lon":4.52339,"fix":13}}',X'34de2fac28cce8715bcc4f5bb64dd6fbac24af08bdf2b33693525a6c3d5a0a7e',1741608001561);
INSERT INTO messages VALUES(4,'gps',1741420801497,'V3.0',7,'{"messageType":7,"deviceId":"1BBEA","version":3,"timeMs":1741420801497,"gps":{"lat":52.45808,"lon":4.78038,"fix":14}}',X'a166fbd9cc947dcac441926a20494f756085adb86762cf2086d80eb7f3c258ad',1741608001561);
INSERT INTO messages VALUES(2,'gps',1741449601497,'V3.0',7,'{"messageType":7,"deviceId":"1BBCE","version":3,"timeMs":1741449601497,"gps":{"lat":52.58118,"lon":5.03628,"fix":15}}',X'5ba74b6050bc5b6fabcb6a8269c8e64630cafa57180714f8e9de8c84998220dc',1741608001561);
INSERT INTO messages VALUES(6,'gps',1741478401497,'V3.0',7,'{"messageType":7,"deviceId":"1BC06","version":3,"timeMs":1741478401497,"gps":{"lat":52.38193,"lon":4.66562,"fix":16}}',X'a45fa872f3c43e63ca50ac471e637612e27805f9e10cf932cca99781fe1cb39e',1741608001561);
INSERT INTO messages VALUES(4,'gps',1741507201497,'V3.0',7,'{"messageType":7,"deviceId":"1BBEA","version":3,"timeMs":1741507201497,"gps":{"lat":52.76979,"lon":4.84332,"fix":17}}',X'a108cc2eab7d5ac557ea41db835032ef7ca6d63dcc702020211c8e5d56a9368a',1741608001562);
INSERT INTO messages VALUES(2,'gps',1741536001497,'V3.0',7,'{"messageType":7,"deviceId":"1BBCE","version":3,"timeMs":1741536001497,"gps":{"lat":52.10572,"lon":5.15325,"fix":18}}',X'00b51cadb279068deefc201d5dafa04ddcaf41dedf65847b04835c730764de99',1741608001562);
INSERT INTO messages VALUES(6,'gps',1741564801497,'V3.0',7,'{"messageType":7,"deviceId":"1BC06","version":3,"timeMs":1741564801497,"gps":{"lat":52.56722,"lon":4.76775,"fix":19}}',X'cbda273ca823e5aa591b8b07efa08ad356615aa9e88ea0b464a87b659ff5ef8d',1741608001562);
INSERT INTO messages VALUES(7,'GPS',1741608002603,'V3.0',1,'{"messageType": 1, "deviceId": "odd", "version": 3, "timeMs": 1741608002603, "gps": {"lat": 52.1, "lon": 4.6}}',X'c7036099f9867c2bc7377c324b4e568954bce9815493d8b5212d5c2a353d22b4',1741608002744);
INSERT INTO messages VALUES(2,'gps',1741058405103,'V3.0',7,'{"messageType":7,"deviceId":"1BBCE","version":3,"timeMs":1741058405103,"gps":{"lat":52.40014,"lon":5.00429,"fix":0}}',X'f2aed64b024ce7ecb0cf2c03cb1f16b82fe426203ec4ff78b20df266db221027',1741644005118);
INSERT INTO messages VALUES(9,'gps',1741116005103,'V3.0',7,'{"messageType":7,"deviceId":"1BC22","version":3,"timeMs":1741116005103,"gps":{"lat":52.72752,"lon":4.73400,"fix":1}}',X'c1cea55b8a2ea8f44fde2f168c7d98658bc8034cc5d56fc6537a7767545fe7d3',1741644005118);
CREATE TABLE inbox (
    -- Messages on their way into the tables above. Only a catch-up has some here, each for seconds:
    -- they come faster than rows can be put in places all over the file, and are sorted first.
    -- They are acknowledged; runs counts them when they are in their tables, or in quarantine.
    n           INTEGER PRIMARY KEY, -- counts up in the order of arrival
    device      INTEGER NOT NULL,    -- which one the topic names; 4294967295: none that is known
    client_id   TEXT NOT NULL,       -- MQTT client id of the session that they came through
    topic       TEXT NOT NULL,       -- as it came
    payload     BLOB NOT NULL,       -- as it came
    received_ms INTEGER NOT NULL     -- when it arrived; ms, our clock
) STRICT;
INSERT INTO inbox VALUES(1,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313034383830353130332c2262617474657279223a7b22766f6c74616765223a342e3131392c226c6576656c223a39362c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(2,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313034383830353130332c2274656d7065726174757265223a7b2263656c73697573223a342e32322c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(3,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313035383430353130332c2262617474657279223a7b22766f6c74616765223a342e3036352c226c6576656c223a38382c226368617267696e67223a66616c73657d2c2272737369223a2d36387d',1741644005118);
INSERT INTO inbox VALUES(4,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0',X'7b226d65737361676554797065223a312c226e223a307d',1741644005118);
INSERT INTO inbox VALUES(5,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313035383430353130332c22677073223a7b226c6174223a35322e34303031342c226c6f6e223a352e30303432392c22666978223a307d7d',1741644005118);
INSERT INTO inbox VALUES(6,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313035383430353130332c2274656d7065726174757265223a7b2263656c73697573223a342e30352c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(7,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313036383030353130332c2262617474657279223a7b22766f6c74616765223a342e3039302c226c6576656c223a39312c226368617267696e67223a66616c73657d2c2272737369223a2d37397d',1741644005118);
INSERT INTO inbox VALUES(8,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313036383030353130332c2274656d7065726174757265223a7b2263656c73697573223a352e37342c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(9,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313037373630353130332c2262617474657279223a7b22766f6c74616765223a332e3936342c226c6576656c223a37342c226368617267696e67223a66616c73657d2c2272737369223a2d36317d',1741644005118);
INSERT INTO inbox VALUES(10,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313037373630353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e35382c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(11,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313038373230353130332c2262617474657279223a7b22766f6c74616765223a332e3735352c226c6576656c223a34332c226368617267696e67223a66616c73657d2c2272737369223a2d36397d',1741644005118);
INSERT INTO inbox VALUES(12,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313038373230353130332c2274656d7065726174757265223a7b2263656c73697573223a31362e39362c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(13,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313039363830353130332c2262617474657279223a7b22766f6c74616765223a332e3834372c226c6576656c223a35372c226368617267696e67223a66616c73657d2c2272737369223a2d36307d',1741644005118);
INSERT INTO inbox VALUES(14,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313039363830353130332c2274656d7065726174757265223a7b2263656c73697573223a31382e34382c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(15,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313130363430353130332c2262617474657279223a7b22766f6c74616765223a332e3836332c226c6576656c223a35392c226368617267696e67223a66616c73657d2c2272737369223a2d38387d',1741644005118);
INSERT INTO inbox VALUES(16,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313130363430353130332c2274656d7065726174757265223a7b2263656c73697573223a31372e38312c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(17,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313131363030353130332c2262617474657279223a7b22766f6c74616765223a332e3836352c226c6576656c223a35392c226368617267696e67223a66616c73657d2c2272737369223a2d39307d',1741644005118);
INSERT INTO inbox VALUES(18,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313131363030353130332c22677073223a7b226c6174223a35322e37323735322c226c6f6e223a342e37333430302c22666978223a317d7d',1741644005118);
INSERT INTO inbox VALUES(19,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313131363030353130332c2274656d7065726174757265223a7b2263656c73697573223a31312e31302c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(20,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313132353630353130332c2262617474657279223a7b22766f6c74616765223a332e3932352c226c6576656c223a36382c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(21,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313132353630353130332c2274656d7065726174757265223a7b2263656c73697573223a352e38362c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(22,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313133353230353130332c2262617474657279223a7b22766f6c74616765223a342e3038332c226c6576656c223a39302c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(23,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313133353230353130332c2274656d7065726174757265223a7b2263656c73697573223a342e30362c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(24,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313134343830353130332c2262617474657279223a7b22766f6c74616765223a342e3032382c226c6576656c223a38332c226368617267696e67223a66616c73657d2c2272737369223a2d36387d',1741644005118);
INSERT INTO inbox VALUES(25,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313134343830353130332c2274656d7065726174757265223a7b2263656c73697573223a342e32362c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(26,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313135343430353130332c2262617474657279223a7b22766f6c74616765223a342e3035372c226c6576656c223a38372c226368617267696e67223a66616c73657d2c2272737369223a2d37397d',1741644005118);
INSERT INTO inbox VALUES(27,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313135343430353130332c2274656d7065726174757265223a7b2263656c73697573223a352e33302c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(28,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313136343030353130332c2262617474657279223a7b22766f6c74616765223a332e3933352c226c6576656c223a36392c226368617267696e67223a66616c73657d2c2272737369223a2d36317d',1741644005118);
INSERT INTO inbox VALUES(29,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313136343030353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e30342c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(30,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313137333630353130332c2262617474657279223a7b22766f6c74616765223a332e3731352c226c6576656c223a33382c226368617267696e67223a66616c73657d2c2272737369223a2d36397d',1741644005118);
INSERT INTO inbox VALUES(31,4294967295,'id-test-01','foxtrackr/1BBF8/v1.0/bat',X'7b226d65737361676554797065223a312c226e223a317d',1741644005118);
INSERT INTO inbox VALUES(32,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313137333630353130332c22677073223a7b226c6174223a35322e35303136352c226c6f6e223a342e37343238382c22666978223a327d7d',1741644005118);
INSERT INTO inbox VALUES(33,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313137333630353130332c2274656d7065726174757265223a7b2263656c73697573223a31362e39392c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(34,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313138333230353130332c2262617474657279223a7b22766f6c74616765223a332e3831312c226c6576656c223a35322c226368617267696e67223a66616c73657d2c2272737369223a2d36307d',1741644005118);
INSERT INTO inbox VALUES(35,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313138333230353130332c2274656d7065726174757265223a7b2263656c73697573223a31382e37312c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(36,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313139323830353130332c2262617474657279223a7b22766f6c74616765223a332e3832332c226c6576656c223a35332c226368617267696e67223a66616c73657d2c2272737369223a2d38387d',1741644005118);
INSERT INTO inbox VALUES(37,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313139323830353130332c2274656d7065726174757265223a7b2263656c73697573223a31372e37302c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(38,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313230323430353130332c2262617474657279223a7b22766f6c74616765223a332e3739392c226c6576656c223a35302c226368617267696e67223a66616c73657d2c2272737369223a2d39307d',1741644005118);
INSERT INTO inbox VALUES(39,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313230323430353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e37322c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(40,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313231323030353130332c2262617474657279223a7b22766f6c74616765223a332e3930312c226c6576656c223a36342c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(41,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313231323030353130332c2274656d7065726174757265223a7b2263656c73697573223a362e30392c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(42,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313232313630353130332c2262617474657279223a7b22766f6c74616765223a342e3034312c226c6576656c223a38342c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(43,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313232313630353130332c2274656d7065726174757265223a7b2263656c73697573223a332e39302c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(44,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313233313230353130332c2262617474657279223a7b22766f6c74616765223a332e3939372c226c6576656c223a37392c226368617267696e67223a66616c73657d2c2272737369223a2d36387d',1741644005118);
INSERT INTO inbox VALUES(45,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313233313230353130332c22677073223a7b226c6174223a35322e33363339392c226c6f6e223a352e33343539372c22666978223a337d7d',1741644005118);
INSERT INTO inbox VALUES(46,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313233313230353130332c2274656d7065726174757265223a7b2263656c73697573223a342e33382c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(47,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313234303830353130332c2262617474657279223a7b22766f6c74616765223a342e3032392c226c6576656c223a38332c226368617267696e67223a66616c73657d2c2272737369223a2d37397d',1741644005118);
INSERT INTO inbox VALUES(48,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313234303830353130332c2274656d7065726174757265223a7b2263656c73697573223a352e31382c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(49,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313235303430353130332c2262617474657279223a7b22766f6c74616765223a332e3930372c226c6576656c223a36352c226368617267696e67223a66616c73657d2c2272737369223a2d36317d',1741644005118);
INSERT INTO inbox VALUES(50,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313235303430353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e35372c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(51,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313236303030353130332c2262617474657279223a7b22766f6c74616765223a332e3637352c226c6576656c223a33322c226368617267696e67223a66616c73657d2c2272737369223a2d36397d',1741644005118);
INSERT INTO inbox VALUES(52,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313236303030353130332c2274656d7065726174757265223a7b2263656c73697573223a31372e32372c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(53,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313236393630353130332c2262617474657279223a7b22766f6c74616765223a332e3737352c226c6576656c223a34372c226368617267696e67223a66616c73657d2c2272737369223a2d36307d',1741644005118);
INSERT INTO inbox VALUES(54,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313236393630353130332c2274656d7065726174757265223a7b2263656c73697573223a31382e32332c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(55,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313237393230353130332c2262617474657279223a7b22766f6c74616765223a332e3738312c226c6576656c223a34372c226368617267696e67223a66616c73657d2c2272737369223a2d38387d',1741644005118);
INSERT INTO inbox VALUES(56,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313237393230353130332c2274656d7065726174757265223a7b2263656c73697573223a31372e39382c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(57,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313238383830353130332c2262617474657279223a7b22766f6c74616765223a332e3733312c226c6576656c223a34302c226368617267696e67223a66616c73657d2c2272737369223a2d39307d',1741644005118);
INSERT INTO inbox VALUES(58,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/temp',X'5c7862305c7830307b22756e6974223a2243222c226e223a327d',1741644005118);
INSERT INTO inbox VALUES(59,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313238383830353130332c22677073223a7b226c6174223a35322e34353932312c226c6f6e223a342e36343136342c22666978223a347d7d',1741644005118);
INSERT INTO inbox VALUES(60,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313238383830353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e34372c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(61,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313239383430353130332c2262617474657279223a7b22766f6c74616765223a332e3837302c226c6576656c223a36302c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(62,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313239383430353130332c2274656d7065726174757265223a7b2263656c73697573223a352e39352c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(63,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313330383030353130332c2262617474657279223a7b22766f6c74616765223a332e3939362c226c6576656c223a37382c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(64,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313330383030353130332c2274656d7065726174757265223a7b2263656c73697573223a342e31362c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(65,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313331373630353130332c2262617474657279223a7b22766f6c74616765223a332e3936392c226c6576656c223a37342c226368617267696e67223a66616c73657d2c2272737369223a2d36387d',1741644005118);
INSERT INTO inbox VALUES(66,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313331373630353130332c2274656d7065726174757265223a7b2263656c73697573223a342e33332c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(67,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313332373230353130332c2262617474657279223a7b22766f6c74616765223a332e3939372c226c6576656c223a37382c226368617267696e67223a66616c73657d2c2272737369223a2d37397d',1741644005118);
INSERT INTO inbox VALUES(68,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313332373230353130332c2274656d7065726174757265223a7b2263656c73697573223a352e34342c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(69,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313333363830353130332c2262617474657279223a7b22766f6c74616765223a332e3837382c226c6576656c223a36312c226368617267696e67223a66616c73657d2c2272737369223a2d36317d',1741644005118);
INSERT INTO inbox VALUES(70,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313333363830353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e31352c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(71,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313334363430353130332c2262617474657279223a7b22766f6c74616765223a332e3633342c226c6576656c223a32362c226368617267696e67223a66616c73657d2c2272737369223a2d36397d',1741644005118);
INSERT INTO inbox VALUES(72,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313334363430353130332c22677073223a7b226c6174223a35322e33393230362c226c6f6e223a342e38343038392c22666978223a357d7d',1741644005118);
INSERT INTO inbox VALUES(73,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313334363430353130332c2274656d7065726174757265223a7b2263656c73697573223a31362e38322c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(74,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313335363030353130332c2262617474657279223a7b22766f6c74616765223a332e3734342c226c6576656c223a34322c226368617267696e67223a66616c73657d2c2272737369223a2d36307d',1741644005118);
INSERT INTO inbox VALUES(75,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313335363030353130332c2274656d7065726174757265223a7b2263656c73697573223a31382e36372c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(76,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313336353630353130332c2262617474657279223a7b22766f6c74616765223a332e3733362c226c6576656c223a34312c226368617267696e67223a66616c73657d2c2272737369223a2d38387d',1741644005118);
INSERT INTO inbox VALUES(77,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313336353630353130332c2274656d7065726174757265223a7b2263656c73697573223a31382e32352c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(78,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313337353230353130332c2262617474657279223a7b22766f6c74616765223a332e3636332c226c6576656c223a33312c226368617267696e67223a66616c73657d2c2272737369223a2d39307d',1741644005118);
INSERT INTO inbox VALUES(79,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313337353230353130332c2274656d7065726174757265223a7b2263656c73697573223a31312e30322c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(80,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313338343830353130332c2262617474657279223a7b22766f6c74616765223a332e3833392c226c6576656c223a35362c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(81,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313338343830353130332c2274656d7065726174757265223a7b2263656c73697573223a362e33322c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(82,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313339343430353130332c2262617474657279223a7b22766f6c74616765223a332e3935372c226c6576656c223a37322c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(83,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313339343430353130332c2274656d7065726174757265223a7b2263656c73697573223a342e33382c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(84,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313430343030353130332c2262617474657279223a7b22766f6c74616765223a332e3933352c226c6576656c223a37302c226368617267696e67223a66616c73657d2c2272737369223a2d36387d',1741644005118);
INSERT INTO inbox VALUES(85,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313430343030353130332c226261747433',1741644005118);
INSERT INTO inbox VALUES(86,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313430343030353130332c22677073223a7b226c6174223a35322e35313631342c226c6f6e223a352e34373237312c22666978223a367d7d',1741644005118);
INSERT INTO inbox VALUES(87,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313430343030353130332c2274656d7065726174757265223a7b2263656c73697573223a332e39392c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(88,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313431333630353130332c2262617474657279223a7b22766f6c74616765223a332e3936392c226c6576656c223a37342c226368617267696e67223a66616c73657d2c2272737369223a2d37397d',1741644005118);
INSERT INTO inbox VALUES(89,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313431333630353130332c2274656d7065726174757265223a7b2263656c73697573223a352e37392c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(90,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313432333230353130332c2262617474657279223a7b22766f6c74616765223a332e3834322c226c6576656c223a35362c226368617267696e67223a66616c73657d2c2272737369223a2d36317d',1741644005118);
INSERT INTO inbox VALUES(91,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313432333230353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e37332c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(92,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313433323830353130332c2262617474657279223a7b22766f6c74616765223a332e3539372c226c6576656c223a32312c226368617267696e67223a66616c73657d2c2272737369223a2d36397d',1741644005118);
INSERT INTO inbox VALUES(93,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313433323830353130332c2274656d7065726174757265223a7b2263656c73697573223a31362e39352c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(94,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313434323430353130332c2262617474657279223a7b22766f6c74616765223a332e3730352c226c6576656c223a33372c226368617267696e67223a66616c73657d2c2272737369223a2d36307d',1741644005118);
INSERT INTO inbox VALUES(95,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313434323430353130332c2274656d7065726174757265223a7b2263656c73697573223a31382e32392c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(96,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313435323030353130332c2262617474657279223a7b22766f6c74616765223a332e3639322c226c6576656c223a33352c226368617267696e67223a66616c73657d2c2272737369223a2d38387d',1741644005118);
INSERT INTO inbox VALUES(97,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313435323030353130332c2274656d7065726174757265223a7b2263656c73697573223a31372e39342c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(98,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313436313630353130332c2262617474657279223a7b22766f6c74616765223a332e3630332c226c6576656c223a32322c226368617267696e67223a66616c73657d2c2272737369223a2d39307d',1741644005118);
INSERT INTO inbox VALUES(99,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313436313630353130332c22677073223a7b226c6174223a35322e38363533312c226c6f6e223a352e33303333382c22666978223a377d7d',1741644005118);
INSERT INTO inbox VALUES(100,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313436313630353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e36322c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(101,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313437313230353130332c2262617474657279223a7b22766f6c74616765223a332e3831302c226c6576656c223a35322c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(102,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313437313230353130332c2274656d7065726174757265223a7b2263656c73697573223a362e31302c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(103,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313438303830353130332c2262617474657279223a7b22766f6c74616765223a332e3931362c226c6576656c223a36362c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(104,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313438303830353130332c2274656d7065726174757265223a7b2263656c73697573223a332e39342c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(105,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313439303430353130332c2262617474657279223a7b22766f6c74616765223a332e3930362c226c6576656c223a36352c226368617267696e67223a66616c73657d2c2272737369223a2d36387d',1741644005118);
INSERT INTO inbox VALUES(106,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313439303430353130332c2274656d7065726174757265223a7b2263656c73697573223a332e39362c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(107,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313530303030353130332c2262617474657279223a7b22766f6c74616765223a332e3933362c226c6576656c223a37302c226368617267696e67223a66616c73657d2c2272737369223a2d37397d',1741644005118);
INSERT INTO inbox VALUES(108,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313530303030353130332c2274656d7065726174757265223a7b2263656c73697573223a352e33302c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(109,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313530393630353130332c2262617474657279223a7b22766f6c74616765223a332e3831362c226c6576656c223a35322c226368617267696e67223a66616c73657d2c2272737369223a2d36317d',1741644005118);
INSERT INTO inbox VALUES(110,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313530393630353130332c2274656d7065726174757265223a7b2263656c73697573223a392e39392c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(111,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313531393230353130332c2262617474657279223a7b22766f6c74616765223a332e3535342c226c6576656c223a31352c226368617267696e67223a66616c73657d2c2272737369223a2d36397d',1741644005118);
INSERT INTO inbox VALUES(112,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/bat',X'7b226d65737361676554797065223a312c2276657273696f6e223a332c2274696d654d73223a313734313531393230353130332c2262617474657279223a7b22766f6c74616765223a342c226e223a347d7d',1741644005118);
INSERT INTO inbox VALUES(113,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313531393230353130332c22677073223a7b226c6174223a35322e35353033332c226c6f6e223a342e38373530352c22666978223a387d7d',1741644005118);
INSERT INTO inbox VALUES(114,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313531393230353130332c2274656d7065726174757265223a7b2263656c73697573223a31372e32372c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(115,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313532383830353130332c2262617474657279223a7b22766f6c74616765223a332e3637312c226c6576656c223a33322c226368617267696e67223a66616c73657d2c2272737369223a2d36307d',1741644005118);
INSERT INTO inbox VALUES(116,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313532383830353130332c2274656d7065726174757265223a7b2263656c73697573223a31382e36312c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(117,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313533383430353130332c2262617474657279223a7b22766f6c74616765223a332e3635312c226c6576656c223a32392c226368617267696e67223a66616c73657d2c2272737369223a2d38387d',1741644005118);
INSERT INTO inbox VALUES(118,4294967295,'id-test-01','foxtrackr/1BC14/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433134222c2276657273696f6e223a332c2274696d654d73223a313734313533383430353130332c2274656d7065726174757265223a7b2263656c73697573223a31382e30372c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(119,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313534383030353130332c2262617474657279223a7b22766f6c74616765223a342e3133332c226c6576656c223a39372c226368617267696e67223a66616c73657d2c2272737369223a2d39307d',1741644005118);
INSERT INTO inbox VALUES(120,4294967295,'id-test-01','foxtrackr/1BC22/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433232222c2276657273696f6e223a332c2274696d654d73223a313734313534383030353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e35312c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(121,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313535373630353130332c2262617474657279223a7b22766f6c74616765223a332e3738322c226c6576656c223a34382c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(122,4294967295,'id-test-01','foxtrackr/1BC30/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433330222c2276657273696f6e223a332c2274696d654d73223a313734313535373630353130332c2274656d7065726174757265223a7b2263656c73697573223a362e30352c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(123,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313536373230353130332c2262617474657279223a7b22766f6c74616765223a332e3837302c226c6576656c223a36302c226368617267696e67223a66616c73657d2c2272737369223a2d36347d',1741644005118);
INSERT INTO inbox VALUES(124,4294967295,'id-test-01','foxtrackr/1BBC0/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424330222c2276657273696f6e223a332c2274696d654d73223a313734313536373230353130332c2274656d7065726174757265223a7b2263656c73697573223a332e37312c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(125,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313537363830353130332c2262617474657279223a7b22766f6c74616765223a332e3837352c226c6576656c223a36312c226368617267696e67223a66616c73657d2c2272737369223a2d36387d',1741644005118);
INSERT INTO inbox VALUES(126,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/gps',X'7b226d65737361676554797065223a372c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313537363830353130332c22677073223a7b226c6174223a35322e38313937322c226c6f6e223a342e37323533392c22666978223a397d7d',1741644005118);
INSERT INTO inbox VALUES(127,4294967295,'id-test-01','foxtrackr/1BBCE/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424345222c2276657273696f6e223a332c2274696d654d73223a313734313537363830353130332c2274656d7065726174757265223a7b2263656c73697573223a342e30342c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(128,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313538363430353130332c2262617474657279223a7b22766f6c74616765223a332e3930372c226c6576656c223a36362c226368617267696e67223a66616c73657d2c2272737369223a2d37397d',1741644005118);
INSERT INTO inbox VALUES(129,4294967295,'id-test-01','foxtrackr/1BBDC/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424443222c2276657273696f6e223a332c2274696d654d73223a313734313538363430353130332c2274656d7065726174757265223a7b2263656c73697573223a352e35342c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(130,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313539363030353130332c2262617474657279223a7b22766f6c74616765223a332e3738342c226c6576656c223a34382c226368617267696e67223a66616c73657d2c2272737369223a2d36317d',1741644005118);
INSERT INTO inbox VALUES(131,4294967295,'id-test-01','foxtrackr/1BBEA/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424541222c2276657273696f6e223a332c2274696d654d73223a313734313539363030353130332c2274656d7065726174757265223a7b2263656c73697573223a31302e35342c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(132,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313630353630353130332c2262617474657279223a7b22766f6c74616765223a342e3130392c226c6576656c223a39352c226368617267696e67223a66616c73657d2c2272737369223a2d36397d',1741644005118);
INSERT INTO inbox VALUES(133,4294967295,'id-test-01','foxtrackr/1BBF8/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142424638222c2276657273696f6e223a332c2274696d654d73223a313734313630353630353130332c2274656d7065726174757265223a7b2263656c73697573223a31372e35382c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
INSERT INTO inbox VALUES(134,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/bat',X'7b226d65737361676554797065223a312c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313631353230353130332c2262617474657279223a7b22766f6c74616765223a332e3633372c226c6576656c223a32372c226368617267696e67223a66616c73657d2c2272737369223a2d36307d',1741644005118);
INSERT INTO inbox VALUES(135,4294967295,'id-test-01','foxtrackr/1BC06/V3.0/temp',X'7b226d65737361676554797065223a322c226465766963654964223a223142433036222c2276657273696f6e223a332c2274696d654d73223a313734313631353230353130332c2274656d7065726174757265223a7b2263656c73697573223a31382e34362c2273656e736f72223a22696e7465726e616c227d7d',1741644005118);
CREATE TABLE inbox_position (
    -- The daemon's memory, one row: how far the inbox is sorted in. Before first_n everything is,
    -- after last_n nothing. What is between them goes in the order of device and n.
    only    INTEGER PRIMARY KEY CHECK (only = 1), -- there is no second row
    first_n INTEGER NOT NULL, -- first message of those that are being sorted in
    last_n  INTEGER NOT NULL, -- last one of them
    device  INTEGER NOT NULL, -- those up to this device and n are done
    n       INTEGER NOT NULL  -- 0: none of them is
) STRICT;
INSERT INTO inbox_position VALUES(1,1,135,4294967295,21);
CREATE INDEX device_groups_by_device ON device_groups (device);
CREATE VIEW battery_latest AS
    -- The newest battery reading of each device.
    SELECT d.device, d.family, d.device_id,
           b.time_ms, datetime(b.time_ms / 1000, 'unixepoch') AS time_utc,
           b.voltage_v, b.level_pct, b.message_type, b.extra,
           b.received_ms, datetime(b.received_ms / 1000, 'unixepoch') AS received_utc
      FROM devices AS d
     CROSS JOIN battery AS b -- CROSS: devices first, then one seek in the primary key for each
        ON b.device = d.device
       AND b.time_ms = (SELECT max(time_ms) FROM battery WHERE device = d.device)
;
CREATE VIEW temperature_latest AS
    -- The newest temperature reading of each device.
    SELECT d.device, d.family, d.device_id,
           t.time_ms, datetime(t.time_ms / 1000, 'unixepoch') AS time_utc,
           t.celsius, t.message_type, t.extra,
           t.received_ms, datetime(t.received_ms / 1000, 'unixepoch') AS received_utc
      FROM devices AS d
     CROSS JOIN temperature AS t -- CROSS: devices first, then one seek in the primary key for each
        ON t.device = d.device
       AND t.time_ms = (SELECT max(time_ms) FROM temperature WHERE device = d.device)
;
CREATE VIEW battery_daily AS
    -- Battery readings of each device by day (UTC, the device's clock).
    SELECT d.device, d.family, d.device_id,
           b.time_ms / 86400000 * 86400000 AS day_ms,
           date(b.time_ms / 1000, 'unixepoch') AS day_utc,
           count(*) AS readings,
           min(b.voltage_v) AS voltage_v_min, avg(b.voltage_v) AS voltage_v_avg,
           max(b.voltage_v) AS voltage_v_max,
           min(b.level_pct) AS level_pct_min, avg(b.level_pct) AS level_pct_avg,
           max(b.level_pct) AS level_pct_max
      FROM devices AS d
     CROSS JOIN battery AS b ON b.device = d.device
     -- Number and name, so that a WHERE on either narrows the search itself.
     GROUP BY d.device, d.family, d.device_id, b.time_ms / 86400000
;
CREATE VIEW temperature_daily AS
    -- Temperature readings of each device by day (UTC, the device's clock).
    SELECT d.device, d.family, d.device_id,
           t.time_ms / 86400000 * 86400000 AS day_ms,
           date(t.time_ms / 1000, 'unixepoch') AS day_utc,
           count(*) AS readings,
           min(t.celsius) AS celsius_min, avg(t.celsius) AS celsius_avg,
           max(t.celsius) AS celsius_max
      FROM devices AS d
     CROSS JOIN temperature AS t ON t.device = d.device
     -- Number and name, so that a WHERE on either narrows the search itself.
     GROUP BY d.device, d.family, d.device_id, t.time_ms / 86400000
;
CREATE INDEX quarantine_by_time ON quarantine (last_received_ms);
CREATE VIEW fleet AS
    -- One line a device: who it is, when it was last heard of, and its newest values.
    -- last_seen is the newest time_ms in battery, temperature and messages (the device's clock).
    SELECT device, family, device_id, groups,
           first_seen_ms, datetime(first_seen_ms / 1000, 'unixepoch') AS first_seen_utc,
           last_seen_ms, datetime(last_seen_ms / 1000, 'unixepoch') AS last_seen_utc,
           battery_time_ms, datetime(battery_time_ms / 1000, 'unixepoch') AS battery_time_utc,
           voltage_v, level_pct,
           temperature_time_ms,
           datetime(temperature_time_ms / 1000, 'unixepoch') AS temperature_time_utc,
           celsius
      FROM (SELECT d.device, d.family, d.device_id, d.first_seen_ms,
                   (SELECT group_concat(group_name, ', ')
                      FROM (SELECT group_name FROM device_groups
                             WHERE device = d.device ORDER BY group_name)) AS groups,
                   nullif(max(ifnull(b.time_ms, 0), ifnull(t.time_ms, 0),
                              ifnull((SELECT max(time_ms) FROM messages
                                       WHERE device = d.device), 0)),
                          0) AS last_seen_ms,
                   b.time_ms AS battery_time_ms, b.voltage_v, b.level_pct,
                   t.time_ms AS temperature_time_ms, t.celsius
              FROM devices AS d
              LEFT JOIN battery AS b
                ON b.device = d.device
               AND b.time_ms = (SELECT max(time_ms) FROM battery WHERE device = d.device)
              LEFT JOIN temperature AS t
                ON t.device = d.device
               AND t.time_ms = (SELECT max(time_ms) FROM temperature WHERE device = d.device))
;
COMMIT;
