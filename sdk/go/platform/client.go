package platform

import (
	"context"
	"crypto/rand"
	"iter"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"
	"wardein.example/wardeinv1"
)

const (
	trustService = "/wardein.v1.TrustService/"
	// The most that an answer may have. A page has 2 MiB.
	maxAnswer = 16 << 20
	pageSize  = 1000
)

// Options say how to connect. The zero value is ready.
type Options struct {
	// Endpoint, https://HOST:PORT, takes the place of the one in the identity's directory.
	Endpoint string
	// Timeout is the most that a call takes, retries included, where its context has no earlier deadline; 10 s if it is 0.
	Timeout time.Duration
	// Dial is for gRPC, such as grpc.WithNoProxy.
	Dial []grpc.DialOption
}

// Client has the calls of a platform. It connects with the first of them, and again where the connection broke. It is safe for use by
// several goroutines.
type Client struct {
	directory string
	options   Options

	// Held while an identity is tried, so that two never go over at a time.
	reloading sync.Mutex
	// Guards what follows.
	lock     sync.RWMutex
	identity *identity
	channel  *grpc.ClientConn
	former   *grpc.ClientConn
}

// Open takes the directory of an identity, as `wardein operator issue` makes it.
func Open(directory string, options Options) (*Client, error) {
	if options.Timeout == 0 {
		options.Timeout = 10 * time.Second
	}
	c := &Client{directory: directory, options: options}
	var err error
	if c.identity, err = readIdentity(directory, options.Endpoint); err != nil {
		return nil, err
	}
	c.channel, err = c.dial(c.identity)
	return c, err
}

// Close ends the connection, and what still runs over it.
func (c *Client) Close() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.former != nil {
		_ = c.former.Close()
	}
	return c.channel.Close()
}

// Ping reaches the authority, so that a wrong endpoint or CA shows here and not at the first call.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	return ping(ctx, c.connection())
}

// Reload goes over to the identity that is in the directory by now, if it is another: whether it is. Calls that began before end on the
// former connection. Where the new one cannot be used, as while files are being replaced, all goes on as before.
func (c *Client) Reload(ctx context.Context) (bool, error) {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	read, err := readIdentity(c.directory, c.options.Endpoint)
	if err != nil || read.equal(c.identity) {
		return false, err
	}
	channel, err := c.dial(read)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	if err := ping(ctx, channel); err != nil {
		_ = channel.Close()
		return false, err
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	// The one before that has no calls any more but watches, which go on over a newer one.
	if c.former != nil {
		_ = c.former.Close()
	}
	c.former, c.channel, c.identity = c.channel, channel, read
	return true, nil
}

// Check gives the verdict on one device, now.
func (c *Client) Check(ctx context.Context, subject Subject) (*wardeinv1.CheckResponse, error) {
	if subject.err != nil {
		return nil, subject.err
	}
	answer := &wardeinv1.CheckResponse{}
	return answer, c.call(ctx, "Check", subject.request, answer)
}

// Login is a login by token.
type Login struct {
	// Token is what the device logs in with.
	Token []byte
	// Nonce is the one that the platform gave the device for this login; empty if it gave none.
	Nonce []byte
	// IdempotencyKey has 16 to 64 random bytes, drawn for this login alone. A login whose answer was lost (TransportError) is repeated
	// with the same. If it is empty, one is drawn.
	IdempotencyKey []byte
}

// VerifyToken verifies the token that a device logs in with, and spends it; the right `token` is needed.
func (c *Client) VerifyToken(ctx context.Context, login Login) (*wardeinv1.VerifyTokenResponse, error) {
	key := login.IdempotencyKey
	if len(key) == 0 {
		key = make([]byte, 16)
		// It never fails.
		_, _ = rand.Read(key)
	}
	request := &wardeinv1.VerifyTokenRequest{Token: login.Token, PlatformNonce: login.Nonce, IdempotencyKey: key}
	answer := &wardeinv1.VerifyTokenResponse{}
	return answer, c.call(ctx, "VerifyToken", request, answer)
}

// Filter says which devices ListSubjects gives: those that have what is set.
type Filter struct {
	State          wardeinv1.DeviceState
	Profile, Model string
}

// ListSubjects gives the devices of the tenant in order of their ids. It ends with the first error.
func (c *Client) ListSubjects(ctx context.Context, filter Filter) iter.Seq2[*wardeinv1.Subject, error] {
	return func(yield func(*wardeinv1.Subject, error) bool) {
		request := &wardeinv1.ListSubjectsRequest{
			PageSize: pageSize, State: filter.State, Profile: filter.Profile, Model: filter.Model,
		}
		for {
			page := &wardeinv1.ListSubjectsResponse{}
			if err := c.call(ctx, "ListSubjects", request, page); err != nil {
				yield(nil, err)
				return
			}
			for _, each := range page.GetSubjects() {
				if !yield(each, nil) {
					return
				}
			}
			request.PageToken = page.GetNextPageToken()
			if len(request.PageToken) == 0 {
				return
			}
		}
	}
}

func (c *Client) call(ctx context.Context, method string, request, answer proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	return retrying(ctx, func() error {
		return callError(ctx, c.connection().Invoke(ctx, trustService+method, request, answer))
	})
}

// connection is what calls that begin now go over.
func (c *Client) connection() *grpc.ClientConn {
	c.lock.RLock()
	defer c.lock.RUnlock()
	return c.channel
}

func (c *Client) dial(as *identity) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(as.config)),
		// Calls are repeated by RetryInfo alone.
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		// An authority that was restarted is found again soon.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	return grpc.NewClient(as.target, append(options, c.options.Dial...)...)
}

func ping(ctx context.Context, channel *grpc.ClientConn) error {
	_, err := grpc_health_v1.NewHealthClient(channel).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return callError(ctx, err)
}
