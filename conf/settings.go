package conf

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
)

// Settings are what [Interface] of a profile, or the flags of the same names,
// say about the host. A zero field says nothing: the setting has its default.
type Settings struct {
	Addrs      []netip.Addr // the TUN's, at most one per family
	DNS        []DNS        // as written, in order of preference
	Table      string       // "auto" ("" too), "off", or a decimal number
	FwMark     uint32       // 0: chosen when needed
	MTU        int          // no hop on the host's network, and so not the TUN, gets more; 0: no bound
	LAN        Choice       // Yes: allow, No: deny, Default: allow
	KillSwitch Choice       // Default: with a /0
	IPv6Direct bool         // an IPv4 /0 without an IPv6 one leaves IPv6 alone
	Exclude    []netip.Prefix
	Netns      string
	PreUp      []Hook
	PostUp     []Hook
	PreDown    []Hook
	PostDown   []Hook
}

// A Choice is a yes or a no that may be left open.
type Choice uint8

// The values of a Choice.
const (
	Default Choice = iota
	Yes
	No
)

// Or reports whether c is Yes, or d if c is Default.
func (c Choice) Or(d bool) bool { return c == Yes || c == Default && d }

// String returns "default", "yes" or "no".
func (c Choice) String() string {
	switch c {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "default"
}

// Set gives the setting of that name a value: a key of a profile's [Interface],
// in any case ("KillSwitch"), or a flag with its dashes ("--kill-switch"). Lists
// grow, other settings are replaced. An error about a flag names it; one about a
// key is for the caller to locate.
func (s *Settings) Set(name, text string) error {
	flag, isFlag := strings.CutPrefix(name, "--")
	for _, st := range settings() {
		switch {
		case isFlag && st.Flag == flag:
			if err := st.set(s, flagValue(text)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		case !isFlag && strings.EqualFold(st.Key, name):
			return st.set(s, flagValue(text))
		}
	}
	return fmt.Errorf("%s: no such setting", name)
}

// flagValue is the value of a line of its own: what it says after "#" counts.
func flagValue(text string) value {
	text = strings.TrimSpace(text)
	return value{text: text, raw: text}
}

// Merge returns s with what over says instead, setting by setting.
func (s Settings) Merge(over Settings) Settings {
	return Settings{
		Addrs:      either(over.Addrs, s.Addrs),
		DNS:        either(over.DNS, s.DNS),
		Table:      cmp.Or(over.Table, s.Table),
		FwMark:     cmp.Or(over.FwMark, s.FwMark),
		MTU:        cmp.Or(over.MTU, s.MTU),
		LAN:        cmp.Or(over.LAN, s.LAN),
		KillSwitch: cmp.Or(over.KillSwitch, s.KillSwitch),
		IPv6Direct: over.IPv6Direct || s.IPv6Direct,
		Exclude:    either(over.Exclude, s.Exclude),
		Netns:      cmp.Or(over.Netns, s.Netns),
		PreUp:      either(over.PreUp, s.PreUp),
		PostUp:     either(over.PostUp, s.PostUp),
		PreDown:    either(over.PreDown, s.PreDown),
		PostDown:   either(over.PostDown, s.PostDown),
	}
}

// either returns a unless it is empty.
func either[T any](a, b []T) []T {
	if len(a) > 0 {
		return a
	}
	return b
}
