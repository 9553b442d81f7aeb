"""Hypothesis strategies for everything that fits on the wire."""

from hypothesis import strategies as st

from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, CommandMessage, IoElement

AVL = [CodecId.CODEC_8, CodecId.CODEC_8_EXTENDED, CodecId.CODEC_16]
imeis = st.text("0123456789", min_size=15, max_size=15)


def unsigned(bits):
    return st.integers(0, 2**bits - 1)


def signed(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def io_elements(codec):
    ids = unsigned(8 if codec is CodecId.CODEC_8 else 16)
    fixed = st.sampled_from([1, 2, 4, 8]).flatmap(
        lambda width: st.builds(IoElement, ids, st.just(width), unsigned(8 * width))
    )
    if codec is not CodecId.CODEC_8_EXTENDED:
        return fixed
    return fixed | st.builds(IoElement, ids, st.just(0), st.binary(max_size=20))


def in_wire_order(elements):
    return tuple(sorted(elements, key=lambda element: element.width or 9))


def records(codec):
    return st.builds(
        AvlRecord,
        timestamp_ms=unsigned(64),
        priority=unsigned(8),
        longitude_raw=signed(32),
        latitude_raw=signed(32),
        altitude_m=signed(16),
        angle_deg=unsigned(16),
        satellites=unsigned(8),
        speed_kph=unsigned(16),
        event_io_id=unsigned(8 if codec is CodecId.CODEC_8 else 16),
        generation_type=unsigned(8) if codec is CodecId.CODEC_16 else st.none(),
        io=st.lists(io_elements(codec), max_size=8).map(in_wire_order),
        body=st.just(b""),
    )


def packets(codec):
    return st.lists(records(codec), max_size=3).map(lambda items: AvlPacket(codec, tuple(items)))


any_packet = st.sampled_from(AVL).flatmap(packets)

any_command = st.sampled_from(
    [CodecId.CODEC_12, CodecId.CODEC_13, CodecId.CODEC_14, CodecId.CODEC_15]
).flatmap(
    lambda codec: st.builds(
        CommandMessage,
        codec=st.just(codec),
        type=unsigned(8),
        payload=st.binary(max_size=60),
        imei=imeis if codec in (CodecId.CODEC_14, CodecId.CODEC_15) else st.none(),
        timestamp_s=unsigned(32) if codec in (CodecId.CODEC_13, CodecId.CODEC_15) else st.none(),
    )
)


def without_bodies(content):
    """The content as it was before its bytes were known."""
    if not isinstance(content, AvlPacket):
        return content
    return AvlPacket(content.codec, tuple(record._replace(body=b"") for record in content.records))
