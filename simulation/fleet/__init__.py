"""A small generated fleet for where there are no recordings: same seed, same cars, same drives.

cars.py       who drives: IMEI, VIN and what sets one car apart from another
route.py      where: a closed loop around the city's centre
motion.py     how: speed over time between stops, and the distance that it makes
day.py        when: the trips of one car on one day
telemetry.py  what the tracker records of a day, as record columns
end_day.py    the last day of each fleet, chosen once per data folder
source.py     one car as a source of encoded records

All but the last two are pure. Nothing here ages, breaks or has a driver yet: whatever brings that replaces
`day` and `motion`, and grows `telemetry`.
"""
