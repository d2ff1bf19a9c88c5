package conf

import (
	"errors"
	"fmt"
	"net/netip"

	"multihop/router"
)

// A LeftOut is a prefix of a file's AllowedIPs that gives no route.
type LeftOut struct {
	Prefix netip.Prefix
	Hop    string
	Why    string
}

// String returns the entry as one line.
func (l LeftOut) String() string { return fmt.Sprintf("%s of %s: %s", l.Prefix, l.Hop, l.Why) }

// Chain puts each file inside the one before it: the first on the host's
// network, the last innermost. A hop is named for its file, with a suffix if
// that name is taken.
//
// A hop's AllowedIPs are its routes, and the inner hop wins:
//   - A prefix that is equal to, or inside, those of a hop further in, adjacent
//     ones taken as one, gives no route.
//   - Once a hop has the default of either family, no prefix of a hop outside
//     it gives a route. A hop has the default when its AllowedIPs, taken
//     together, cover the public unicast addresses: for IPv4 all but the
//     special-purpose blocks of RFC 6890, for IPv6 2000::/3.
//
// So with two files of a provider nothing leaves at the entry, whichever way
// they spell "everything". Only o.Routes send traffic through fewer hops.
//
// A nil o overrides nothing. The error is an *Error, or says which flag is wrong.
func Chain(files []*File, o *Overrides) (*Instance, error) {
	if o == nil {
		o = new(Overrides)
	}
	t, err := chainTree(files)
	if err != nil {
		return nil, err
	}
	c := new(Instance)
	for _, f := range files {
		c.Files = append(c.Files, f.Path)
	}
	if err := t.fill(c, Settings{}, o); err != nil {
		return nil, err
	}
	return c, nil
}

// chainTree puts each file inside the one before it.
func chainTree(files []*File) (*tree, error) {
	if len(files) == 0 {
		return nil, errors.New("no files: a chain needs at least one")
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	names = uniqueNames(names)
	t := newTree("")
	for i, f := range files {
		m := &member{name: names[i], file: f, spec: new(hopSpec)}
		if i > 0 {
			m.spec.via = names[i-1 : i]
		}
		t.add(&target{name: m.name, members: []*member{m}})
	}
	return t, t.placeAll()
}

// hop returns the hop that f describes, with the given name and carrier.
func (f *File) hop(name, via string) (router.Hop, error) {
	in := &f.Interface
	h := router.Hop{
		Name: name, Via: via, PrivateKey: in.PrivateKey,
		DNS: in.DNS, MTU: in.MTU, ListenPort: in.ListenPort,
	}
	var first [2]Address // of IPv4, of IPv6
	for _, a := range in.Addresses {
		family, i := "IPv4", 0
		if a.Addr().Is6() {
			family, i = "IPv6", 1
		}
		if first[i].IsValid() {
			if first[i].Addr() == a.Addr() {
				continue
			}
			return router.Hop{}, &Error{
				File: f.Path, Line: a.Line, Section: "Interface", Key: "Address",
				Err: fmt.Errorf("%s is a second %s address (the first is %s, line %d), and a hop can have one a family: remove one",
					a.Addr(), family, first[i].Addr(), first[i].Line),
			}
		}
		first[i] = a
		h.Addrs = append(h.Addrs, a.Addr())
	}
	for _, p := range f.Peers {
		h.Peers = append(h.Peers, p.Peer)
	}
	return h, nil
}
