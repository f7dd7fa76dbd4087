// Command example follows the trust of a platform's devices, and says of each that was named whether it is let in:
// example -identity DIRECTORY DEVICE...
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	"wardein.example/platform"
	"wardein.example/wardeinv1"
)

func main() {
	identity := flag.String("identity", "", "the directory of the platform's identity")
	once := flag.Bool("once", false, "end after the first look")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := follow(ctx, *identity, flag.Args(), *once); err != nil {
		log.Fatal(err)
	}
}

func follow(ctx context.Context, identity string, devices []string, once bool) error {
	client, err := platform.Open(identity, platform.Options{})
	if err != nil {
		return err
	}
	defer client.Close()
	// Where a platform closes the sessions of a device that is not trusted any more.
	changed := func(verdict *wardeinv1.DeviceVerdict) {
		fmt.Printf("%s: %v %v\n", verdict.GetDeviceId(), verdict.GetVerdict(), verdict.GetReasons())
	}
	cache := platform.NewTrustCache(client, platform.CacheOptions{Changed: changed})
	ended := make(chan error, 1)
	go func() { ended <- cache.Follow(ctx) }()
	if err := cache.Ready(ctx); err != nil {
		return err
	}
	for {
		for _, each := range devices {
			fmt.Printf("%s: let in: %v\n", each, cache.Lookup(each).IsTrusted())
		}
		if once {
			return nil
		}
		select {
		case <-time.After(5 * time.Second):
		case err := <-ended:
			return err
		}
	}
}
