"""The device port: sessions over TCP, acknowledged when Kafka has confirmed the frame."""
