package device

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
)

// Section 1: hash, MAC, KDF, and the notation of everything else.

const prefix = "ddkg1 "

func u16(out []byte, number uint16) []byte { return binary.BigEndian.AppendUint16(out, number) }
func u32(out []byte, number uint32) []byte { return binary.BigEndian.AppendUint32(out, number) }
func u64(out []byte, number uint64) []byte { return binary.BigEndian.AppendUint64(out, number) }

func frame[T string | []byte](out []byte, data T) []byte {
	return append(u32(out, uint32(len(data))), data...)
}

func digest(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

func mac(key, data []byte) []byte {
	hash := hmac.New(sha256.New, key)
	hash.Write(data)
	return hash.Sum(nil)
}

// equal compares in constant time. Macs are compared by nothing else.
func equal(left, right []byte) bool {
	return subtle.ConstantTimeCompare(left, right) == 1
}

// transcript takes fields of type []byte, string (its UTF-8 bytes) and uint64 (its 8 bytes).
func transcript(label string, fields ...any) []byte {
	framed := frame(nil, prefix+label)
	for _, field := range fields {
		switch field := field.(type) {
		case []byte:
			framed = frame(framed, field)
		case string:
			framed = frame(framed, field)
		case uint64:
			framed = frame(framed, u64(nil, field))
		default:
			panic("a transcript has no such field")
		}
	}
	return digest(framed)
}

// extract is HKDF-Extract (RFC 5869, 2.2).
func extract(salt, ikm []byte) []byte {
	return mac(salt, ikm)
}

func expand(secret []byte, label string, context []byte) []byte {
	return expandTo(secret, label, context, 32)
}

// expandTo is HKDF-Expand with an info in the form of RFC 8446 section 7.1.
func expandTo(secret []byte, label string, context []byte, length int) []byte {
	info := u16(nil, uint16(length))
	info = append(append(info, byte(len(prefix+label))), prefix+label...)
	info = append(append(info, byte(len(context))), context...)
	out, err := hkdf.Expand(sha256.New, secret, string(info), length)
	if err != nil {
		// Labels, contexts and lengths are ours, and within bounds.
		panic(err)
	}
	return out
}
