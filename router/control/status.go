package control

import (
	"net/netip"

	"multihop/router"
)

// A Status is what an instance says of itself: its router's state, and what the
// host was told.
type Status struct {
	router.Status
	Profile string `json:"profile,omitempty"` // its name; "": a chain of files
	Host    Host   `json:"host,omitzero"`     // zero: of a router that is embedded
}

// A Host is what the operating system was told on behalf of an instance.
type Host struct {
	Table      string         `json:"table"`           // "main", "off" or a number
	Mark       uint32         `json:"mark,omitempty"`  // of datagrams on the host's network; 0: none
	Netns      string         `json:"netns,omitempty"` // the namespace of the TUN; "": the host's own
	KillSwitch bool           `json:"kill_switch"`
	LAN        bool           `json:"lan"`                // directly connected private networks are left alone
	IPv6       string         `json:"ipv6,omitempty"`     // "direct": it may leave outside the tunnel
	Exclude    []netip.Prefix `json:"exclude,omitempty"`  // goes outside the tunnel
	DNS        []Resolver     `json:"dns,omitempty"`      // none: the host keeps its own
	Search     []string       `json:"search,omitempty"`   // search domains
	Warnings   []string       `json:"warnings,omitempty"` // what is wrong now, such as a tunnel of somebody else's inside this one
}

// A Resolver is a DNS server and the hop that carries its queries.
type Resolver struct {
	Addr netip.Addr `json:"addr"`
	Hop  string     `json:"hop,omitempty"`
}

// Changes say what a change of the configuration did, or would do.
type Changes struct {
	Changes  []string `json:"changes"`  // to the host, in the manner of wg-quick's "[#]" lines
	Warnings []string `json:"warnings"` // one line each
}
