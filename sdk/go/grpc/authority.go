// Package devicegrpc is the authority over gRPC: a transport for package device, and a station that relays enrollments. The contract is
// proto/README.md.
//
// Messages of section 11 become those of proto/ and back; nothing is decided here.
package devicegrpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"wardein.example/device"
	"wardein.example/wardeinv1"
)

// No call takes longer.
const patience = 30 * time.Second

const (
	deviceService       = "/wardein.v1.DeviceService/"
	provisioningService = "/wardein.v1.ProvisioningService/"
)

// Authority has a device's calls: a device.Transport.
type Authority struct {
	channel *grpc.ClientConn
}

// Dial takes host:port, and the PEM that verifies the server, `infrastructure.pem`. It connects with the first call.
func Dial(target string, trustRoots []byte, options ...grpc.DialOption) (*Authority, error) {
	channel, err := dial(target, trustRoots, nil, options)
	return &Authority{channel}, err
}

// Close ends the connection.
func (a *Authority) Close() error { return a.channel.Close() }

// Challenge gives kind 4.
func (a *Authority) Challenge(ctx context.Context, who device.Identity) ([]byte, error) {
	response := &wardeinv1.GetChallengeResponse{}
	asked := &wardeinv1.GetChallengeRequest{Tenant: who.Tenant, DeviceId: who.DeviceID}
	if err := call(ctx, a.channel, deviceService+"GetChallenge", asked, response); err != nil {
		return nil, err
	}
	if len(response.Recipe) > 64 {
		return nil, &device.MalformedError{Field: "recipe", Why: "names more than 64 attributes"}
	}
	return (&device.Challenge{Challenge: response.Challenge, ServerTime: response.ServerTimeSeconds, Recipe: response.Recipe}).Encode(), nil
}

// Prove takes kind 5 and the body, and gives kind 6.
func (a *Authority) Prove(ctx context.Context, proof, body []byte) (device.Answer, error) {
	proved, err := device.ParseProof(proof)
	if err != nil {
		return device.Answer{}, err
	}
	response := &wardeinv1.ProveResponse{}
	err = call(ctx, a.channel, deviceService+"Prove", &wardeinv1.ProveRequest{
		Tenant: proved.Tenant, DeviceId: proved.DeviceID, Challenge: proved.Challenge, DeviceNonce: proved.DeviceNonce[:],
		Generation: proved.Generation, Epoch: proved.Epoch, Number: proved.Number,
		Action: proved.Action, Body: body, Mac: proved.Mac[:],
	}, response)
	if err != nil {
		return device.Answer{}, err
	}
	ack, err := array("ack", response.Ack)
	reply := &device.Reply{ServerTime: response.ServerTimeSeconds, Ack: ack, Body: response.Body}
	answer := device.Answer{Reply: reply.Encode(), RekeyDue: response.RekeyDue}
	if window := response.Renewal; window != nil {
		answer.Renewal = &device.Window{Start: window.StartSeconds, End: window.EndSeconds}
	}
	return answer, err
}

// Confirm takes kind 3.
func (a *Authority) Confirm(ctx context.Context, confirmation []byte) error {
	response, err := device.ParseConfirmation(confirmation)
	if err != nil {
		return err
	}
	return call(ctx, a.channel, deviceService+"ConfirmEnrollment", &wardeinv1.ConfirmEnrollmentRequest{
		Tenant: response.Tenant, DeviceId: response.DeviceID, DeviceConfirmation: response.DeviceConfirmation[:],
	}, &wardeinv1.ConfirmEnrollmentResponse{})
}

func dial(target string, trustRoots []byte, own *tls.Certificate, options []grpc.DialOption) (*grpc.ClientConn, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(trustRoots) {
		return nil, errors.New("the trust roots have no certificate")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}
	if own != nil {
		config.Certificates = []tls.Certificate{*own}
	}
	options = append([]grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(config))}, options...)
	return grpc.NewClient(target, options...)
}

func call(ctx context.Context, channel *grpc.ClientConn, method string, asked, response proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return refused(channel, ctx, method, asked, response)
}

func array(field string, data []byte) (out [32]byte, err error) {
	if len(data) != len(out) {
		return out, &device.MalformedError{Field: field, Why: "has not 32 bytes"}
	}
	return [32]byte(data), nil
}
