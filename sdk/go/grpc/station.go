package devicegrpc

import (
	"context"
	"crypto/tls"

	"google.golang.org/grpc"
	"wardein.example/device"
	"wardein.example/wardeinv1"
)

// Station is a factory station that relays an enrollment, and learns no secret.
type Station struct {
	channel *grpc.ClientConn
}

// About says what the factory vouches for. All of it may be empty.
type About struct {
	Profile string
	Model   string
	UDI     string
}

// DialStation takes host:port, and of the station's identity directory `infrastructure.pem`, `operator.pem` and `operator.key`.
func DialStation(target string, trustRoots, certificate, key []byte, options ...grpc.DialOption) (*Station, error) {
	own, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	channel, err := dial(target, trustRoots, &own, options)
	return &Station{channel}, err
}

// Close ends the connection.
func (s *Station) Close() error { return s.channel.Close() }

// Enroll takes kind 1, and gives kind 2. The tenant is the station's.
func (s *Station) Enroll(ctx context.Context, request []byte, about About) ([]byte, error) {
	asked, err := device.ParseEnrollmentRequest(request)
	if err != nil {
		return nil, err
	}
	message := &wardeinv1.EnrollRequest{
		DeviceId: asked.DeviceID, Suite: uint32(asked.Suite), DeviceNonce: asked.DeviceNonce[:], DeviceShare: asked.DeviceShare,
		Profile: about.Profile, Model: about.Model, Udi: about.UDI,
	}
	for name, value := range asked.Attributes {
		message.Attributes = append(message.Attributes, &wardeinv1.Attribute{Name: name, Value: value})
	}
	response := &wardeinv1.EnrollResponse{}
	if err := call(ctx, s.channel, provisioningService+"Enroll", message, response); err != nil {
		return nil, err
	}
	confirmation, err := array("authority confirmation", response.AuthorityConfirmation)
	times := response.GetSchedule()
	return (&device.EnrollmentReply{
		Suite: asked.Suite, AuthorityShare: response.AuthorityShare, Generation: response.Generation,
		Schedule:  device.Schedule{Period: times.GetPeriodSeconds(), MaxUses: times.GetMaxUses(), NotBefore: times.GetNotBeforeSeconds()},
		Signature: response.Signature, AuthorityConfirmation: confirmation,
	}).Encode(), err
}

// Confirm takes kind 3.
func (s *Station) Confirm(ctx context.Context, confirmation []byte) error {
	response, err := device.ParseConfirmation(confirmation)
	if err != nil {
		return err
	}
	return call(ctx, s.channel, provisioningService+"Confirm", &wardeinv1.ConfirmRequest{
		DeviceId: response.DeviceID, DeviceConfirmation: response.DeviceConfirmation[:],
	}, &wardeinv1.ConfirmResponse{})
}
