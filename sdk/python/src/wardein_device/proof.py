"""SPEC section 5: a proof's mac and the authority's ack, both by the one key K[g,proof,e,n]."""

from .primitives import expand, mac, sha256, transcript


def device_mac(key: bytes, binding: bytes, proof_transcript: bytes) -> bytes:
    return mac(expand(key, "device", binding), proof_transcript)


def ack_transcript(proof_transcript: bytes, server_time: int, reply_body: bytes) -> bytes:
    return transcript("ack", proof_transcript, server_time, sha256(reply_body))


def ack(ack_key: bytes, proof_transcript: bytes, server_time: int, reply_body: bytes) -> bytes:
    return mac(ack_key, ack_transcript(proof_transcript, server_time, reply_body))


def ack_key(key: bytes, binding: bytes) -> bytes:
    return expand(key, "authority", binding)


def signature_transcript(
    tenant: str, device_id: str, challenge: bytes, device_nonce: bytes, key_id: bytes, action: str, body: bytes
) -> bytes:
    """T of section 5.1: the 32 bytes that a device signs which keeps its key in a TPM or secure element."""
    return transcript("signature", tenant, device_id, challenge, device_nonce, key_id, action, sha256(body))
