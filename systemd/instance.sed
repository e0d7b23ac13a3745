# Makes foxtrackrd@.service of foxtrackrd.service: one text, so that the two cannot differ by accident.
# An instance %i reads /etc/foxtrackrd/%i.conf and has directories and credentials of its own. Its
# runtime directory is not below the first one's, which goes with all that is in it when that stops.
s|^Description=.*|& (%i)|
s|^ExecStart=.*|& -c /etc/foxtrackrd/%i.conf|
s|^StateDirectory=foxtrackrd$|&/%i|
s|^LogsDirectory=foxtrackrd$|&/%i|
s|^RuntimeDirectory=foxtrackrd$|&-%i|
s|^\(LoadCredential=foxtrackrd\.\([a-z-]*\)\):.*|\1:foxtrackrd@%i.\2|
