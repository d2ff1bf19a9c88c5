package conf

import (
	"errors"
	"fmt"
	"net/netip"

	"multihop/router"
)

// ChainOptions are what a person may add to the files of a chain.
type ChainOptions struct {
	// Routes, if there are any, replace the routes of every file.
	Routes []RouteFlag

	// Fragment lets the links of carried hops fragment, so that each keeps an
	// MTU of 1280 however deep it lies.
	Fragment bool
}

// A Chained is what Chain makes of several files.
type Chained struct {
	Config   router.Config // hops and routes, outermost first
	Warnings []Warning     // the files' own, in their order, and the chain's
	LeftOut  []LeftOut     // outermost first
}

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
// they spell "everything". Only options send traffic through fewer hops.
//
// The error is an *Error, or says which option is wrong. The Config is not yet
// validated: that is router.Compile's part.
func Chain(files []*File, o *ChainOptions) (*Chained, error) {
	if len(files) == 0 {
		return nil, errors.New("no files: a chain needs at least one")
	}
	if o == nil {
		o = new(ChainOptions)
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	names = uniqueNames(names)

	c := new(Chained)
	via := ""
	for i, f := range files {
		hop, err := f.hop(names[i], via)
		if err != nil {
			return nil, err
		}
		hop.Fragment = o.Fragment && via != ""
		c.Config.Hops = append(c.Config.Hops, hop)
		c.warnFile(files, i)
		via = names[i]
	}
	c.warnSharedPeers(files)
	if len(o.Routes) > 0 {
		if err := c.routeByFlags(o.Routes); err != nil {
			return nil, err
		}
		return c, nil
	}
	c.routeByFiles()
	return c, nil
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

// warnFile takes over the warnings of the i'th file, and rewrites those about
// what a chain would not use of it anyway.
func (c *Chained) warnFile(files []*File, i int) {
	for _, w := range files[i].Warnings {
		switch {
		case i > 0 && (w.Key == "Table" || w.Key == "FwMark"):
			w.Text = "ignored: in a chain only the first file's could count, and " + w.Key + " is not acted on yet"
		case i < len(files)-1 && w.Key == "DNS":
			w.Text = "ignored: in a chain only the last file's could count, and DNS is not acted on yet"
		}
		c.Warnings = append(c.Warnings, w)
	}
}

// warnSharedPeers warns of two files with the same PrivateKey and relay. (The
// same PrivateKey at different relays is usual.)
func (c *Chained) warnSharedPeers(files []*File) {
	type session struct{ private, public router.Key }
	first := make(map[session]*File)
	for _, f := range files {
		for _, p := range f.Peers {
			s := session{f.Interface.PrivateKey, p.PublicKey}
			other, ok := first[s]
			if !ok {
				first[s] = f
				continue
			}
			c.Warnings = append(c.Warnings, Warning{
				File: f.Path, Line: p.Line, Key: "PublicKey",
				Text: fmt.Sprintf("the same relay with the same PrivateKey as in %s: a relay keeps one session a key, so the two hops will cut each other off",
					other.Path),
			})
		}
	}
}
