package conf

import (
	"fmt"
	"strings"
)

// A Setting is one key of a profile's [Interface] section, and the flag of the
// same meaning.
type Setting struct {
	Key    string // "KillSwitch"
	Flag   string // "kill-switch", without dashes
	Usage  string // for --help; the value's form stands in backquotes
	Repeat bool   // a list: may be given several times

	set func(s *Settings, v value) error
}

// SettingList returns every setting, in the order in which help shows them.
func SettingList() []Setting { return settings() }

// Bounds of settings.
const (
	maxExclude = 1024
	minTUNMTU  = 68 // the least that Linux takes
)

func settings() []Setting {
	return []Setting{
		{"Address", "address", "`ADDRESS` of the TUN, at most one per family (default: of the outermost hop that has one)", true, (*Settings).addAddrs},
		{"DNS", "dns", "`HOP`, ADDRESS, ADDRESS via HOP, a search domain, or off (default: none in a profile, the innermost file's in a chain)", true, (*Settings).addDNS},
		{"Table", "table", "`auto|off|NUMBER`: the kernel's table of the routes", false, (*Settings).setTable},
		{"FwMark", "fwmark", "`NUMBER|off`: the mark of datagrams on the host's network", false, (*Settings).setFwMark},
		{"MTU", "mtu", "`BYTES` that no hop on the host's network exceeds", false, (*Settings).setMTU},
		{"LAN", "lan", "`allow|deny` directly connected private networks beside the tunnel", false, (*Settings).setLAN},
		{"KillSwitch", "kill-switch", "`yes|no`: let nothing out beside the tunnel (default: yes with a default route)", false, (*Settings).setKillSwitch},
		{"IPv6", "ipv6", "`direct`: leave IPv6 outside the tunnel when only IPv4 has a default route", false, (*Settings).setIPv6},
		{"Exclude", "exclude", "`PREFIX` that goes outside the tunnel", true, (*Settings).addExclude},
		{"Netns", "netns", "`NAME` of the network namespace that gets the TUN", false, (*Settings).setNetns},
		{"PreUp", "pre-up", "`COMMAND` before the TUN is configured, for bash, %i is its name", true, func(s *Settings, v value) error { return s.addHook(&s.PreUp, v) }},
		{"PostUp", "post-up", "`COMMAND` after the TUN is configured", true, func(s *Settings, v value) error { return s.addHook(&s.PostUp, v) }},
		{"PreDown", "pre-down", "`COMMAND` before all is undone", true, func(s *Settings, v value) error { return s.addHook(&s.PreDown, v) }},
		{"PostDown", "post-down", "`COMMAND` after all is undone", true, func(s *Settings, v value) error { return s.addHook(&s.PostDown, v) }},
	}
}

func (s *Settings) addAddrs(v value) error {
	for _, text := range list(v.text) {
		prefix, err := parsePrefix(text)
		if err != nil {
			return err
		}
		a := prefix.Addr()
		if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
			return fmt.Errorf("%s cannot be a tunnel's address", a)
		}
		for _, b := range s.Addrs {
			if a.Is4() == b.Is4() {
				return fmt.Errorf("%s is a second address of its family (the first is %s): keep one", a, b)
			}
		}
		s.Addrs = append(s.Addrs, a)
	}
	return nil
}

func (s *Settings) setTable(v value) (err error) {
	s.Table, err = parseTable(v.text)
	return err
}

func (s *Settings) setFwMark(v value) (err error) {
	s.FwMark, err = parseMark(v.text)
	return err
}

func (s *Settings) setMTU(v value) error {
	if v.text == "" { // as in wg-quick: not given
		return nil
	}
	n, err := parseUint(v.text, 65535)
	if err == nil && n < minTUNMTU {
		err = fmt.Errorf("%d is less than any interface takes, %d", n, minTUNMTU)
	}
	s.MTU = int(n)
	return err
}

func (s *Settings) setLAN(v value) (err error) {
	s.LAN, err = parseChoice(v.text, "allow", "deny")
	return err
}

func (s *Settings) setKillSwitch(v value) (err error) {
	s.KillSwitch, err = parseChoice(v.text, "yes", "no")
	return err
}

func (s *Settings) setIPv6(v value) error {
	if !strings.EqualFold(v.text, "direct") {
		return fmt.Errorf("%s is not direct: leave the setting out, and IPv6 is unreachable beside an IPv4 default route", shown(v.text))
	}
	s.IPv6Direct = true
	return nil
}

func (s *Settings) addExclude(v value) error {
	for _, text := range list(v.text) {
		prefix, err := parsePrefix(text)
		if err != nil {
			return err
		}
		if len(s.Exclude) == maxExclude {
			return fmt.Errorf("more than %d prefixes", maxExclude)
		}
		s.Exclude = append(s.Exclude, prefix.Masked())
	}
	return nil
}

func (s *Settings) setNetns(v value) error {
	if !isHopName(v.text) || strings.Trim(v.text[:1], ".-") == "" {
		return fmt.Errorf("%s is not a namespace's name: want 1 to %d of a-z, A-Z, 0-9 and _=+.-, the first neither . nor -", shown(v.text), maxName)
	}
	s.Netns = v.text
	return nil
}

func (s *Settings) addHook(hooks *[]Hook, v value) error {
	if v.raw == "" {
		return nil
	}
	if len(s.PreUp)+len(s.PostUp)+len(s.PreDown)+len(s.PostDown) == maxHooks {
		return fmt.Errorf("more than %d commands", maxHooks)
	}
	*hooks = append(*hooks, Hook{v.raw, v.line})
	return nil
}

// parseTable returns "auto", "off", "" or a decimal number.
func parseTable(s string) (string, error) {
	switch l := strings.ToLower(s); l {
	case "", "auto", "off":
		return l, nil
	}
	n, err := parseUint(s, 1<<32-1)
	if err != nil {
		return "", fmt.Errorf("%w, auto or off", err)
	}
	return fmt.Sprint(n), nil
}

// parseMark returns 0 for off.
func parseMark(s string) (uint32, error) {
	if strings.EqualFold(s, "off") {
		return 0, nil
	}
	n, err := parseUint(s, 1<<32-1)
	if err != nil {
		return 0, fmt.Errorf("%w, or off", err)
	}
	return uint32(n), nil
}

// parseChoice returns Yes or No for the two words.
func parseChoice(s, yes, no string) (Choice, error) {
	switch {
	case strings.EqualFold(s, yes):
		return Yes, nil
	case strings.EqualFold(s, no):
		return No, nil
	}
	return Default, fmt.Errorf("%s is neither %s nor %s", shown(s), yes, no)
}
