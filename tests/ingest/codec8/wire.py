"""Bytes put together field by field from the protocol text, without the package's own encoder."""

VENDOR_CODEC_8 = bytes.fromhex(
    "000000000000003608010000016B40D8EA3001000000000000000000000000000000"
    "0105021503010101425E0F01F10000601A014E0000000000000000010000C7CF"
)
VENDOR_CODEC_8_TWO_RECORDS = bytes.fromhex(
    "000000000000004308020000016B40D57B480100000000000000000000000000000001010101000000000000016B40D5C198"
    "010000000000000000000000000000000101010101000000020000252C"
)
VENDOR_CODEC_8E = bytes.fromhex(
    "000000000000004A8E010000016B412CEE000100000000000000000000000000000000010005000100010100010011001D"
    "00010010015E2C880002000B000000003544C87A000E000000001DD7E06A00000100002994"
)
VENDOR_CODEC_16 = bytes.fromhex(
    "000000000000005F10020000016BDBC7833000000000000000000000000000000000000B05040200010000030002000B0027"
    "0042563A00000000016BDBC7871800000000000000000000000000000000000B05040200010000030002000B00260042563A"
    "00000200005FB3"
)
VENDOR_UDP = bytes.fromhex(
    "003DCAFE0105000F33353230393330383634303336353508010000016B4F815B300100000000000000000000000000000001"
    "03021503010101425DBC000001"
)
VENDOR_CODEC_12 = bytes.fromhex("000000000000000F0C010500000007676574696E666F0100004312")
VENDOR_CODEC_14 = bytes.fromhex("00000000000000160E01050000000E0352093081452251676574766572010000D2C1")
VENDOR_CODEC_15 = bytes.fromhex(
    "000000000000001b0f010b00000013654b65a4012345678912345648656c6c6f210a01000093d6"
)
IMEI = "356307042441013"
LOGIN = bytes.fromhex("000F333536333037303432343431303133")

#        timestamp          prio lon      lat      alt  ang  sat spd
HEAD = "0000018BCFE5680001CE1B6E8019350000FFFA005A0C0037"
"""2023-11-14T22:13:20.000Z, high, 83.7 W, 42.291 N, -6 m, 90 degrees, 12 satellites, 55 km/h."""
#                  event total | n1 id  value | n2 id  value  | n4 id  value      | n8 id  value
RECORD_8 = HEAD + "EF0401EF010142303901100001E240014E0102030405060708"
RECORD_8_EMPTY = HEAD + "000000000000"
RECORD_16 = HEAD + "00EF05040100EF0101004230390100100001E24001004E0102030405060708"
RECORD_8E = (
    HEAD + "00EF"
    "0006"
    "0001"
    "00EF"
    "01"
    "0001"
    "0042"
    "3039"
    "0001"
    "0010"
    "0001E240"
    "0001"
    "004E"
    "0102030405060708"
    "0002"
    "0119"
    "0005"
    "5030333030"
    "0101"
    "0000"
)


def crc_by_bits(data: bytes) -> int:
    """CRC-16/ARC one bit at a time: reflected polynomial A001."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def avl_data(codec: str, *records: str, first: int | None = None, second: int | None = None) -> bytes:
    """A data field; the two counts can be made to lie."""
    n1 = len(records) if first is None else first
    n2 = len(records) if second is None else second
    return bytes.fromhex(codec) + bytes([n1]) + bytes.fromhex("".join(records)) + bytes([n2])


def tcp(data: bytes, *, preamble: int = 0, length: int | None = None, crc: int | None = None) -> bytes:
    """A TCP frame; every field of the envelope can be made to lie."""
    said = len(data) if length is None else length
    check = crc_by_bits(data) if crc is None else crc
    return preamble.to_bytes(4, "big") + said.to_bytes(4, "big") + data + check.to_bytes(4, "big")


def udp(
    data: bytes, *, imei: str = IMEI, length: int | None = None, mark: int = 1, imei_length: int | None = None
) -> bytes:
    """A datagram with packet id CAFE and AVL packet id 05; every field can be made to lie."""
    digits = imei.encode("ascii")
    said = 6 + len(digits) + len(data) if length is None else length
    said_imei = len(digits) if imei_length is None else imei_length
    header = said.to_bytes(2, "big") + b"\xca\xfe" + bytes([mark, 5]) + said_imei.to_bytes(2, "big")
    return header + digits + data


def command_data(
    codec: str, kind: str, inner: bytes, *, size: int | None = None, tail: bytes = b"\x01"
) -> bytes:
    """The data field of a command."""
    said = len(inner) if size is None else size
    return bytes.fromhex(codec + "01" + kind) + said.to_bytes(4, "big") + inner + tail
