package conf

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"

	"multihop/router"
)

// hidden is what every implicit way to print a secret shows.
const hidden = "(hidden)"

// A File is one parsed wg-quick file. It prints as its path alone.
type File struct {
	Path      string // as it was given
	Name      string // of the hop, from the path's last element
	Interface Interface
	Peers     []Peer // in the file's order, at least one
	Warnings  []Warning

	lines map[string]int // of each key of [Interface]
	info  fs.FileInfo    // nil: not from a file
}

// An Interface is what the [Interface] sections of a file say.
type Interface struct {
	PrivateKey router.Key
	Addresses  []Address
	DNS        []netip.Addr
	Search     []string // the DNS entries that are not addresses
	MTU        int      // 0: not given
	ListenPort uint16   // 0: not given
	Table      string   // "auto", "off" or a decimal number; "": not given
	FwMark     uint32   // 0: off or not given
	SaveConfig bool
	PreUp      []Hook
	PostUp     []Hook
	PreDown    []Hook
	PostDown   []Hook
}

// An Address is one tunnel address, with the prefix length of its subnet (which
// makes no route).
type Address struct {
	netip.Prefix
	Line int
}

// A Peer is one [Peer] section. No two peers of a File have a prefix in common.
type Peer struct {
	router.Peer
	Line int // of "[Peer]"
}

// A Hook is one PreUp, PostUp, PreDown or PostDown command. Hooks carry secrets
// often enough that one never prints itself.
type Hook struct {
	Command string // for bash, with %i for the interface's name
	Line    int
}

// Format implements fmt.Formatter: a File prints as its path, whatever the verb.
func (f *File) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(f.Path)) }

// LogValue implements slog.LogValuer.
func (f *File) LogValue() slog.Value { return slog.StringValue(f.Path) }

// Format implements fmt.Formatter.
func (h Hook) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer.
func (h Hook) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler, and so encoding/json's form.
func (h Hook) MarshalText() ([]byte, error) { return []byte(hidden), nil }
