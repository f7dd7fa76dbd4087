package device

import (
	"context"
	"errors"
	"fmt"
)

// Transport is TLS that authenticates the authority and matches answers with questions. Where the authority refuses, or there is none,
// the error is a *RefusedError.
type Transport interface {
	// Challenge gives kind 4.
	Challenge(ctx context.Context, who Identity) ([]byte, error)
	// Prove takes kind 5 and the body, and gives kind 6.
	Prove(ctx context.Context, proof, body []byte) (Answer, error)
	// Confirm takes kind 3.
	Confirm(ctx context.Context, confirmation []byte) error
}

// Answer is what comes back for a proof.
type Answer struct {
	// Reply is kind 6.
	Reply []byte
	// RekeyDue: the authority wants a rekey soon. The ack does not cover it.
	RekeyDue bool
	// Renewal: when the certificate in the reply is to be renewed, where there is one in it. The ack does not cover it.
	Renewal *Window
}

// Measure gives the named attributes, measured now.
type Measure func(names []string) (Attributes, error)

const attempts = 6

// Session asks for things, one at a time, and does what refusals ask for (section 13). It never sleeps: a *RefusedError goes to the
// caller with its Action, and Patience says how long to wait.
type Session struct {
	Device    *Device
	Transport Transport
	Measure   Measure
	// RekeyDue: call Rekey when it is convenient.
	RekeyDue bool
	// Renewal: what the authority said with the last reply, for RenewAt.
	Renewal *Window
}

// Authenticate shows that the device is there, and learns the time.
func (s *Session) Authenticate(ctx context.Context) error {
	_, err := s.prove(ctx, actionAuthenticate, nil, true)
	return err
}

// Certificate takes PKCS#10 in DER with a key on P-256 (section 8). It gives the certificates, DER, leaf first.
func (s *Session) Certificate(ctx context.Context, request []byte) ([][]byte, error) {
	body, err := s.prove(ctx, actionCertificate, request, true)
	if err != nil {
		return nil, err
	}
	return ParseCertificates(body)
}

// TrustBundle gives PEM: the roots, then the issuing CAs.
func (s *Session) TrustBundle(ctx context.Context) ([]byte, error) {
	return s.prove(ctx, actionTrustBundle, nil, true)
}

// Announce takes all attributes as they will be measured from now on or soon (section 8.1).
func (s *Session) Announce(ctx context.Context, coming Attributes) error {
	body, err := coming.Encode()
	if err != nil {
		return err
	}
	_, err = s.prove(ctx, actionAttributes, body, true)
	return err
}

// Rekey goes over to new keys, for the present purposes unless some are named, and proves once that they are right. An authority that
// knows of no named purposes leaves them as they are.
func (s *Session) Rekey(ctx context.Context, suite Suite, purposes ...Purpose) error {
	err := s.rekey(ctx, suite, purposes)
	var refused *RefusedError
	if errors.As(err, &refused) && refused.Action == TakeSuite && suite < Suite2 {
		err = s.rekey(ctx, Suite2, purposes)
	}
	if err != nil {
		return err
	}
	// Not by rekeying again: an authority that always asks for it would never let go.
	_, err = s.prove(ctx, actionAuthenticate, nil, false)
	return err
}

func (s *Session) rekey(ctx context.Context, suite Suite, purposes []Purpose) error {
	_, err := s.ask(ctx, false, func(question *Question, challenge []byte, measured Attributes) (*Request, error) {
		return s.Device.Rekey(question, challenge, suite, measured, purposes...)
	})
	var refused *RefusedError
	if errors.As(err, &refused) && refused.Code == "malformed" && len(purposes) > 0 {
		// Of before revision 3 (section 6).
		return s.rekey(ctx, suite, nil)
	}
	return err
}

func (s *Session) prove(ctx context.Context, action string, body []byte, mayRekey bool) ([]byte, error) {
	return s.ask(ctx, mayRekey, func(question *Question, challenge []byte, measured Attributes) (*Request, error) {
		return s.Device.Prove(question, challenge, action, body, measured)
	})
}

type makeRequest func(question *Question, challenge []byte, measured Attributes) (*Request, error)

func (s *Session) ask(ctx context.Context, mayRekey bool, make makeRequest) ([]byte, error) {
	var last error
	for range attempts {
		body, request, err := s.attempt(ctx, make)
		if err == nil {
			return body, nil
		}
		var refused *RefusedError
		switch {
		case request == nil:
			// It was no proof that was refused.
			return nil, err
		case errors.As(err, &refused):
			if err := s.mind(ctx, refused, request, mayRekey); err != nil {
				return nil, err
			}
			mayRekey = mayRekey && refused.Action != Rekey
		case !errors.Is(err, ErrUntrusted):
			return nil, err
		}
		// Where the reply was false, somebody between changed it. It changed nothing, and to ask again is safe.
		last = err
	}
	var refused *RefusedError
	if errors.As(last, &refused) {
		refused.Action = SeekHelp
	}
	return nil, last
}

// attempt gives the request as well, if there was one.
func (s *Session) attempt(ctx context.Context, make makeRequest) ([]byte, *Request, error) {
	question := s.Device.Ask()
	challenge, err := s.Transport.Challenge(ctx, s.Device.Identity())
	if err != nil {
		return nil, nil, err
	}
	offer, err := ParseChallenge(challenge)
	if err != nil {
		return nil, nil, err
	}
	measured, err := s.Measure(offer.Recipe)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNotMeasured, err)
	}
	request, err := make(question, challenge, measured)
	if err != nil {
		return nil, nil, err
	}
	answer, err := s.Transport.Prove(ctx, request.Message(), request.Body)
	if err != nil {
		return nil, request, err
	}
	body, err := s.Device.Acknowledge(request, answer.Reply)
	if err == nil {
		s.RekeyDue, s.Renewal = answer.RekeyDue, answer.Renewal
	}
	return body, request, err
}

// mind does what must come before the same request again, or gives the error that ends it.
func (s *Session) mind(ctx context.Context, refused *RefusedError, request *Request, mayRekey bool) error {
	switch {
	case refused.Action == AskAgain:
		return nil
	case refused.Action == TakeEpoch && refused.Code == "epoch-spent":
		s.Device.RefusedAsSpent(request, refused.NextEpoch)
		return nil
	case refused.Action == TakeEpoch:
		s.Device.RefusedAsAhead(request)
		return nil
	case refused.Action == Confirm && s.Device.Confirmation() != nil:
		return s.Transport.Confirm(ctx, s.Device.Confirmation())
	case refused.Action == Confirm:
		// Acknowledged once, there is nothing to confirm: the authority lost what it knew.
		refused.Action = SeekHelp
		return refused
	case refused.Action == Rekey && mayRekey:
		return s.Rekey(ctx, s.Device.Suite())
	}
	return refused
}
