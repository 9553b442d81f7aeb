"""The simulated fleet: one truth per car, from the epoch on, and two outputs of it.

parameters.py     every number, with its source or marked as an assumption
arrays.py         array types; a car's random numbers, one generator per purpose
cars.py           IMEI and VIN
profiles.py       what sets one car apart from another: climate, driver, vehicle, device
weather.py        temperatures, and what to expect of them
use.py            trips as drivers plan them
charging.py       alternator faults
battery.py        wear, hazard, failures, replacements, day by day
devices.py        voltage offset and silent days of the tracker
trouble_codes.py  which codes are stored when
life.py           all of that for some cars
trips.py          what the device sees of each start and trip
signals.py        day signals, as dbt defines them
workshop.py       the service book, late and with gaps, and the true failures
oracle.py         the true state and risks
history.py        output A: a folder of Parquet files
route.py          where a car drives
motion.py         speed over time on one trip
telemetry.py      what the tracker records of a day, as record columns
source.py         output B: a car as a source of encoded records
end_day.py        the last day of each fleet, chosen once per data folder

`history`, `source` and `end_day` do input or output, the others are pure.
"""
