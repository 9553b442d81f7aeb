"""A tracker as a sender: records encoded in bulk, packets filled, delivered over TCP until acknowledged.

records.py   many AVL records of one device, encoded, with their identities
encoding.py  columns → records, vectorised (Codec 8 Extended)
packets.py   records → packets of at most 1,280 bytes
schedule.py  when records become due: at once, or as recorded, faster by a factor
tracker.py   the device on the network: login, stop-and-wait, resend, reconnect
"""
