package router

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// A Config is the whole desired state of a Router: its hops and what goes
// through them.
type Config struct {
	Hops   []Hop
	Routes []Route

	// Addrs are the TUN's own addresses, at most one per family. Empty: per
	// family the address of the first hop, carriers first, that has one.
	Addrs []netip.Addr
}

// A Hop is one WireGuard tunnel.
type Hop struct {
	Name       string
	Via        string // the hop that carries this one; "": the host's network
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

// A Route sends what a prefix covers, where no longer prefix does, to a hop.
type Route struct {
	Prefix   netip.Prefix
	Hop      string // "": reject
	Derived  bool   // from AllowedIPs, not asked for: if its hop cannot carry it, it rejects with a warning
	OnDown   Action
	Fallback string // hop for OnDown == Fallback
}

// An Action says what happens to packets of a route whose hop is down.
type Action uint8

// Reject answers "administratively prohibited". It is the only Action that
// Compile accepts so far.
const (
	Reject   Action = iota
	Drop            // silently, counted
	Fallback        // Route.Fallback carries them
)

// ErrUnsupported is wrapped by a ConfigError about a setting that this version
// refuses rather than ignores.
var ErrUnsupported = errors.New("not supported yet")

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
