"""The search index: one document per vehicle, rebuilt as a whole each day, kept fresh between.

documents   one vehicle's document of what is known of it, pure
sources     reads what documents are made of: registry, marts, scores, live state
index       Elasticsearch: connection, bulk, indices and their alias
rebuilding  a new index of everything, then the alias moves over to it at once
feeding     live positions and the like into the documents, every few seconds, for as long as it runs
"""

from warehouse.search.feeding import Feeder, run_feeder
from warehouse.search.index import async_client, counts
from warehouse.search.rebuilding import RebuildReport, rebuild

__all__ = ["Feeder", "RebuildReport", "async_client", "counts", "rebuild", "run_feeder"]
