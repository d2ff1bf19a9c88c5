package main

import (
	"errors"
	"net/netip"
	"time"

	"multihop/internal/memnet"
	"multihop/router"
)

// A world is an internet with one relay.
type world struct {
	net   *memnet.Net
	relay *memnet.Relay
}

// provider starts the relay and returns what its file would say.
func provider() (*world, *router.Plan, error) {
	key, tunnel := router.NewPrivateKey(), netip.MustParseAddr("10.1.0.2")
	w := &world{net: memnet.New()}
	relay, err := w.net.NewRelay("relay", []netip.Addr{netip.MustParseAddr("192.0.2.10")}, nil)
	if err != nil {
		return nil, nil, err
	}
	w.relay = relay
	if err := errors.Join(relay.Add(memnet.Client{PublicKey: key.Public(), Addrs: []netip.Addr{tunnel}}), relay.Start()); err != nil {
		return nil, nil, err
	}
	plan, err := router.Compile(router.Config{
		Hops: []router.Hop{{
			Name: "relay", PrivateKey: key, Addrs: []netip.Addr{tunnel},
			Peers: []router.Peer{{
				PublicKey: relay.PublicKey(), Endpoint: relay.Endpoint().String(),
				AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Keepalive: 25 * time.Second,
			}},
		}},
		Routes: []router.Route{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Hop: "relay"}},
	})
	if err != nil {
		relay.Stop()
	}
	return w, plan, err
}
