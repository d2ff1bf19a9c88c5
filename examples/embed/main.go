// Embed is the smallest program that embeds the router: two hops, one inside
// the other, under a TCP/IP stack of the program's own. It needs no root and no
// TUN device, and fetches a page that only the inner hop's far end reaches.
//
// The relays and the site are in this process too (internet.go). With real ones,
// Options.Bind goes, and keys and endpoints come from a provider's files.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/netip"
	"os"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun/netstack"

	"multihop/router"
	"multihop/tun"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	world, err := newInternet()
	if err != nil {
		return err
	}
	defer world.close()

	// Compile validates, and says what the TUN must be told.
	plan, err := router.Compile(router.Config{
		Hops: []router.Hop{
			{Name: "entry", PrivateKey: world.key, Addrs: addrs("10.1.0.2"), Peers: peer(world.entry)},
			{Name: "exit", Via: "entry", PrivateKey: world.key, Addrs: addrs("10.2.0.2"), Peers: peer(world.exit)},
		},
		Routes: []router.Route{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Hop: "exit"}},
	})
	if err != nil {
		return err
	}

	// A TUN that is not the kernel's goes through tun.Queue.
	dev, stack, err := netstack.CreateNetTUN(plan.Addrs, nil, plan.MTU)
	if err != nil {
		return err
	}
	r := router.New(&router.Options{
		Bind: func(string) conn.Bind { return world.net.Bind(addrs(clientAddr)...) },
	})
	if err := errors.Join(r.SetTUN(tun.Queue(dev)), r.Apply(ctx, plan)); err != nil {
		return errors.Join(err, r.Close())
	}
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }() // until Close
	defer func() {
		world.settle() // netstack wants no TCP under way when it is closed
		err = errors.Join(err, r.Close(), <-done)
	}()

	client := http.Client{Transport: &http.Transport{DialContext: stack.DialContext, DisableKeepAlives: true}}
	resp, err := client.Get("http://203.0.113.80/") // the site answers with the address that it saw
	if err != nil {
		return err
	}
	_, err = io.Copy(out, resp.Body)
	return errors.Join(err, resp.Body.Close())
}
