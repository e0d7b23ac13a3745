"""
Rules for the daemon's requests in MQTT 5, stricter than the standard, because a broker would lose messages
otherwise. Each function yields a sentence for every breach.
"""

import mqtt


def about_connect(said):
    """said: of mqtt.read_connect()"""
    if said["version"] != mqtt.MQTT_5:
        return
    asked = said["properties"]
    if said["clean_start"]:
        yield "CONNECT asks for a clean start: the session is lost (§3.1.2.4)"
    if not asked.get("session_expiry_interval"):
        yield ("CONNECT has no Session Expiry Interval: the session ends with the connection"
               " (§3.1.2.11.2)")
    if "receive_maximum" not in asked:
        yield "CONNECT has no Receive Maximum: 65,535 messages may be in flight (§3.1.2.11.3)"
    if "maximum_packet_size" in asked:
        yield "CONNECT has a Maximum Packet Size: larger messages are dropped (§3.1.2.11.4)"
    if asked.get("topic_alias_maximum"):
        yield "CONNECT allows topic aliases: messages may come without a topic (§3.1.2.11.5)"
    if asked.get("request_problem_information") == 0:
        yield "CONNECT asks for no reason strings (§3.1.2.11.7)"
    if "authentication_method" in asked:
        yield "CONNECT asks for an authentication that this broker does not have (§3.1.2.11.9)"


def about_subscribe(filters, properties):
    """filters, properties: of mqtt.read_subscribe() in MQTT 5"""
    for one in filters:
        if one.retain_handling != 1:
            yield (f"SUBSCRIBE to {one.name} has Retain Handling {one.retain_handling}: retained"
                   " messages come with every connection, or never (§3.8.3.1)")
        if one.no_local or one.retain_as_published:
            yield f"SUBSCRIBE to {one.name} has No Local or Retain As Published (§3.8.3.1)"
    if "subscription_identifier" in properties:
        yield "SUBSCRIBE has a Subscription Identifier: this broker does not send it back (§3.8.2.1.2)"
