package main

import (
	"errors"
	"net/netip"

	"multihop/internal/memnet"
	"multihop/router"
)

// clientAddr is the program's address on the internet.
const clientAddr = "192.0.2.1"

// An internet stands in for a provider's relays and a site.
type internet struct {
	net         *memnet.Net
	key         router.Key // the client's
	entry, exit *memnet.Relay
	site        *memnet.Site
}

func newInternet() (*internet, error) {
	w := &internet{net: memnet.New(), key: router.NewPrivateKey()}
	var errs [3]error
	w.entry, errs[0] = w.relay("entry", "192.0.2.10", "10.1.0.2")
	w.exit, errs[1] = w.relay("exit", "198.51.100.20", "10.2.0.2")
	w.site, errs[2] = w.net.StartSite("site", addrs("203.0.113.80")...)
	if err := errors.Join(errs[:]...); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// relay starts a relay whose client has that tunnel address.
func (w *internet) relay(name, addr, tunnel string) (*memnet.Relay, error) {
	r, err := w.net.NewRelay(name, addrs(addr), nil)
	if err != nil {
		return nil, err
	}
	return r, errors.Join(r.Add(memnet.Client{PublicKey: w.key.Public(), Addrs: addrs(tunnel)}), r.Start())
}

// peer is what a provider's file says of its relay.
func peer(r *memnet.Relay) []router.Peer {
	return []router.Peer{{
		PublicKey:  r.PublicKey(),
		Endpoint:   r.Endpoint().String(),
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")},
	}}
}

// settle waits until the client's last packets have passed.
func (w *internet) settle() { w.net.Host(netip.MustParseAddr(clientAddr)).Settle() }

func (w *internet) close() {
	if w.site != nil {
		_ = w.site.Close()
	}
	for _, r := range []*memnet.Relay{w.entry, w.exit} {
		if r != nil {
			r.Stop()
		}
	}
}

func addrs(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }
