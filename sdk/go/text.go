package device

import "encoding/base64"

// Section 11: messages as text, where nothing else can pass.

// ToText gives base64 (RFC 4648, section 4), padded, on one line.
func ToText(message []byte) string { return base64.StdEncoding.EncodeToString(message) }

// FromText is the inverse of ToText; there is one text of each message, and nothing around it.
func FromText(text string) ([]byte, error) {
	// Go's decoder passes over line breaks, and over bits after the end.
	message, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || ToText(message) != text {
		return nil, malformed("text", "is not base64 with padding")
	}
	return message, nil
}
