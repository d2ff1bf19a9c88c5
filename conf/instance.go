package conf

import (
	"net/netip"

	"multihop/router"
)

// An Instance is what one command line asks for: a profile, or a chain of
// files, with the flags beside it. It is not yet validated as a whole: that is
// router.Compile's part.
type Instance struct {
	Name   string // the profile's: its file's name without .conf; "": a chain of files
	Config router.Config

	// Settings are the flags', else the profile's, else those of the files:
	// Table and FwMark, and hooks if asked for. Config has what concerns the
	// router of them: Addrs and, where a file gives a hop's MTU, its bound.
	Settings Settings

	Resolvers []Resolver // DNS to use, in order of preference; none: the host keeps its own
	Search    []string   // search domains; "~" before one: for the resolvers' use only
	Files     []string   // every file read
	Warnings  []Warning
	LeftOut   []LeftOut
}

// A Resolver is a DNS server and the hop, or group, that carries its queries.
// The Config has a route for it.
type Resolver struct {
	Addr netip.Addr
	Hop  string
}

// Overrides are what a command line says beside the files. They win.
type Overrides struct {
	// Settings that flags gave. See Settings.Set.
	Settings Settings

	// Routes, if there are any, replace the routes of every file and of the
	// profile.
	Routes []RouteFlag

	// Fragment lets the links of all carried hops fragment.
	Fragment bool

	// FileHooks lets hooks of the first file on the host's network run, where
	// neither flags nor the profile give any. (They are imported, often from
	// somebody else.)
	FileHooks bool

	// AllErrors makes an error join every one that is found, for who wants to
	// mend files in one go. Else it is the first.
	AllErrors bool
}
