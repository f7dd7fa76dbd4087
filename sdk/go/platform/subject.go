package platform

import (
	"crypto/x509"
	"encoding/pem"
	"errors"

	"google.golang.org/protobuf/proto"
	"wardein.example/wardeinv1"
)

// Subject is whom Check is asked about.
type Subject struct {
	request *wardeinv1.CheckRequest
	err     error
}

// WithReceipt asks for the answer as a signed receipt, too: for that audience, 1 to 256 printable ASCII characters, and with that nonce, 8
// to 64 random bytes that were drawn for it.
func (s Subject) WithReceipt(audience string, nonce []byte) Subject {
	if s.err != nil {
		return s
	}
	request := proto.CloneOf(s.request)
	request.Receipt = &wardeinv1.ReceiptRequest{Audience: audience, Nonce: nonce}
	return Subject{request: request}
}

// ByID names a device by its id.
func ByID(deviceID string) Subject {
	return Subject{request: &wardeinv1.CheckRequest{Subject: &wardeinv1.CheckRequest_DeviceId{DeviceId: deviceID}}}
}

// ByCertificate names a device by a certificate of its, such as the first of tls.ConnectionState.PeerCertificates.
func ByCertificate(certificate *x509.Certificate) Subject {
	return ByDER(certificate.Raw)
}

// ByDER names a device by a certificate of its.
func ByDER(der []byte) Subject {
	return Subject{request: &wardeinv1.CheckRequest{Subject: &wardeinv1.CheckRequest_Certificate{Certificate: der}}}
}

// ByPEM names a device by a certificate of its; of several the first counts.
func ByPEM(text []byte) Subject {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return ByDER(block.Bytes)
		}
	}
	return Subject{err: errors.New("there is no certificate in PEM")}
}

// BySPIFFE names a device by the SPIFFE id in its certificates.
func BySPIFFE(id string) Subject {
	return Subject{request: &wardeinv1.CheckRequest{Subject: &wardeinv1.CheckRequest_SpiffeId{SpiffeId: id}}}
}

// ByFingerprint names a device by the fingerprint of a certificate of its: the SHA-256 of the DER in hex, with or without colons.
func ByFingerprint(fingerprint string) Subject {
	return Subject{request: &wardeinv1.CheckRequest{Subject: &wardeinv1.CheckRequest_Fingerprint{Fingerprint: fingerprint}}}
}

// BySerial names a device by the serial number of a certificate of its, 32 digits of lower-case hex.
func BySerial(serial string) Subject {
	return Subject{request: &wardeinv1.CheckRequest{Subject: &wardeinv1.CheckRequest_Serial{Serial: serial}}}
}
