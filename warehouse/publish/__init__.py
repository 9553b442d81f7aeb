"""What the warehouse knows of each vehicle, into Redis as `scores:{vin}` for the API.

driving      the week's figures and the newest odometer reading, from the marts
maintenance  the newest predictions and health score, from the models' tables
document     one vehicle's document of the four
publishing   reads all, then writes all
"""

from warehouse.publish.document import build_summary
from warehouse.publish.driving import WINDOW_DAYS, Driving, Odometer
from warehouse.publish.publishing import PublishReport, publish_summaries

__all__ = ["WINDOW_DAYS", "Driving", "Odometer", "PublishReport", "build_summary", "publish_summaries"]
