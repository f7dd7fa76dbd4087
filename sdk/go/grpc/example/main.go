// Command example enrolls a device through a station, and lets it authenticate. A real factory has the two on two machines, with the
// station's end of it on a line between them.
//
//	example -identity station/ -state device/ -device pump-1
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"wardein.example/device"
	devicegrpc "wardein.example/device/grpc"
)

func main() {
	identity := flag.String("identity", "", "the identity directory of a station")
	state := flag.String("state", "", "the directory of the device's state")
	name := flag.String("device", "", "the device's id")
	flag.Parse()
	if err := run(context.Background(), *identity, *state, *name); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		var refused *device.RefusedError
		if errors.As(err, &refused) {
			fmt.Fprintln(os.Stderr, "what to do:", refused.Action)
		}
		os.Exit(1)
	}
}

// What a real device reads from its hardware.
func measure(names []string) (device.Attributes, error) {
	measured := device.Attributes{"firmware": []byte("3.1.4"), "board": []byte("rev-b")}
	for _, name := range names {
		if measured[name] == nil {
			return nil, fmt.Errorf("the attribute %s", name)
		}
	}
	return measured, nil
}

func run(ctx context.Context, identity, state, name string) error {
	store, err := device.OpenStore(state)
	if err != nil {
		return err
	}
	defer store.Close()
	station, err := readStation(identity)
	if err != nil {
		return err
	}
	saved, err := store.Load()
	if err != nil {
		return err
	}
	var enrolled *device.Device
	if saved != nil {
		enrolled, err = device.Load(saved, store.Save, nil)
	} else {
		enrolled, err = enroll(ctx, station, store, name)
	}
	if err != nil {
		return err
	}
	authority, err := devicegrpc.Dial(station.target, station.roots, direct)
	if err != nil {
		return err
	}
	defer authority.Close()
	session := &device.Session{Device: enrolled, Transport: authority, Measure: measure}
	if err := session.Authenticate(ctx); err != nil {
		return err
	}
	fmt.Printf("%v authenticated; the authority's time is %d\n", enrolled, enrolled.KnownTime())
	return nil
}

// The authority of this example is on this machine: no proxy.
var direct = grpc.WithNoProxy()

type stationFiles struct {
	target, tenant                       string
	roots, certificate, key, identityKey []byte
}

func readStation(identity string) (*stationFiles, error) {
	var failed error
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(identity, name))
		failed = errors.Join(failed, err)
		return data
	}
	var about struct{ Endpoint, Tenant string }
	s := &stationFiles{
		roots: read("infrastructure.pem"), certificate: read("operator.pem"), key: read("operator.key"),
		identityKey: read("identity.pub"),
	}
	if err := errors.Join(failed, json.Unmarshal(read("operator.json"), &about)); err != nil {
		return nil, err
	}
	s.target, s.tenant = strings.TrimPrefix(about.Endpoint, "https://"), about.Tenant
	return s, nil
}

func enroll(ctx context.Context, files *stationFiles, store *device.Store, name string) (*device.Device, error) {
	pinned, err := device.ParseIdentityKey(files.identityKey)
	if err != nil {
		return nil, err
	}
	station, err := devicegrpc.DialStation(files.target, files.roots, files.certificate, files.key, direct)
	if err != nil {
		return nil, err
	}
	defer station.Close()
	measured, err := measure(nil)
	if err != nil {
		return nil, err
	}
	who := device.Identity{Tenant: files.tenant, DeviceID: name}
	enrolling, err := device.Begin(who, measured, pinned, device.Suite2, device.AllPurposes...)
	if err != nil {
		return nil, err
	}
	reply, err := station.Enroll(ctx, enrolling.Request(), devicegrpc.About{Model: "Example 1"})
	if err != nil {
		return nil, err
	}
	enrolled, err := enrolling.Finish(reply, store.Save, nil)
	if err != nil {
		return nil, err
	}
	return enrolled, station.Confirm(ctx, enrolled.Confirmation())
}
