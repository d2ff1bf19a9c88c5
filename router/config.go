package router

import (
	"fmt"
	"net/netip"
	"time"
)

// A Config is the whole desired state of a Router: its hops and what goes
// through them. Hops and groups share one space of names.
type Config struct {
	Hops   []Hop
	Groups []Group
	Routes []Route

	// Addrs are the TUN's own addresses, at most one per family. Empty: per
	// family the address of the first hop, carriers first, that has one.
	Addrs []netip.Addr
}

// A Hop is one WireGuard tunnel.
type Hop struct {
	Name       string
	Via        string // the hop, or group, that carries this one; "": the host's network
	PrivateKey Key
	Addrs      []netip.Addr // tunnel addresses, at most one per family
	Peers      []Peer
	DNS        []netip.Addr // resolvers reached through this hop
	MTU        int          // bytes of the largest IP packet inside; 0: derived
	ListenPort uint16       // 0: chosen
	FwMark     uint32       // hops on the host's network only
	Fragment   bool         // its link may fragment inside the carrier: it keeps an MTU of 1280
	Down       bool         // taken down: its routes reject
}

// A Peer is the far end of a hop, as in a wg-quick file.
type Peer struct {
	PublicKey    Key
	PresharedKey Key    // zero: none
	Endpoint     string // host:port; "": learned
	AllowedIPs   []netip.Prefix
	Keepalive    time.Duration // whole seconds; 0: off
}

// A Group is several hops of which one at a time, the active one, serves its
// routes and carries the hops whose Via names the group: the first that is
// healthy. All of them run, so that another takes over with a session of its
// own.
//
// A hop is heard when its peer completes a handshake, or sends data and has not
// begun a handshake in vain, which shows that nothing reaches it. An active hop
// that was not heard for Quiet is probed: with a WireGuard handshake, which
// every peer that accepts our key answers, and with a ping to Probe, if that is
// given, which shows that the peer forwards too. If it is not heard, or Probe is
// silent, for Patience more, while its carrier is heard, it is silent: then the
// first other hop of the group that answers a probe takes over. A hop that is
// down is left at once. A hop that comes before the active one in the list takes
// over again once it has answered for Return, which doubles with each relapse.
//
// A hop carried by a group moves with it: its device and session stay, and only
// its datagrams take another way. So its endpoints must be within the reach of
// each hop of the group, and its MTU is what the smallest of them can carry.
type Group struct {
	Name     string
	Hops     []string // of Config.Hops, in order of preference
	Probe    netip.Addr
	Quiet    time.Duration // 0: 10 s
	Patience time.Duration // 0: 15 s
	Return   time.Duration // 0: 1 min
}

// A Route sends what a prefix covers, where no longer prefix does, to a hop.
type Route struct {
	Prefix   netip.Prefix
	Prefixes []netip.Prefix // further ones, for large sets: shared with the Plan, never changed, so leave them alone after Compile
	Hop      string         // or a group; "": reject
	Derived  bool           // from AllowedIPs, not asked for: if its hop cannot carry it, it rejects with a warning
	OnDown   Action
	Fallback string // hop, or group, for OnDown == Fallback
}

// An Action says what happens to packets of a route whose hop is down.
type Action uint8

// The actions. None of them ever means the next shorter prefix.
const (
	Reject   Action = iota // answers "administratively prohibited"
	Drop                   // silently, counted
	Fallback               // Route.Fallback carries them; if it is down too, they are rejected
)

// String returns the action's name as a profile writes it, but for the hop of a
// fallback.
func (a Action) String() string {
	switch a {
	case Reject:
		return "reject"
	case Drop:
		return "drop"
	case Fallback:
		return "fallback"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// A ConfigError says which setting of which hop is wrong.
type ConfigError struct {
	Hop   string // "": the configuration as a whole, or a route
	Field string // the Go field, such as "MTU" or "Peers[0].Endpoint"
	Err   error
}

func (e *ConfigError) Error() string {
	if e.Hop == "" {
		return fmt.Sprintf("%s: %v", e.Field, e.Err)
	}
	return fmt.Sprintf("hop %s: %s: %v", e.Hop, e.Field, e.Err)
}

func (e *ConfigError) Unwrap() error { return e.Err }
