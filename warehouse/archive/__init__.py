"""The archive: days that left ClickHouse, as Parquet on object storage, each with its manifest.

archiving      a day out of ClickHouse: written, stored, read back, compared, handed over, dropped
verification   a stored file against its manifest and the ledger
restoring      days in an offline storage class
reload         an archived day back into ClickHouse, for a load
reading        single vehicles' rows of archived days
identities     which records of some devices the archive holds
derived        columns that a file has in a shorter form: integers, the devices' steps; miles, the odometer
ledger         `day_archives`: which file holds which day
layout, parquet, sums, manifest     what a file looks like
storage, folder, s3                 where it lies
"""
