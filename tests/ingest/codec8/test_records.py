from ingest.codec8.records import AVL_CODECS, COMMAND_CODECS, AvlRecord, CodecId


def test_codecs_carry_the_vendors_names():
    assert [codec.label for codec in CodecId] == ["8", "8E", "16", "12", "13", "14", "15"]


def test_every_codec_carries_either_records_or_commands():
    assert set(CodecId) == AVL_CODECS | COMMAND_CODECS
    assert not AVL_CODECS & COMMAND_CODECS


def test_degrees_are_exact_to_the_seventh_decimal():
    record = AvlRecord(0, 0, -1799999999, 422912345, 0, 0, 0, 0, 0)
    assert repr(record.longitude_deg) == "-179.9999999"
    assert repr(record.latitude_deg) == "42.2912345"
