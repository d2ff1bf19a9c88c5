package conf

import (
	"errors"
	"fmt"
	"strings"
)

// interfaceFields returns the keys of [Interface]: wg(8)'s, then wg-quick(8)'s.
func interfaceFields() []field {
	return []field{
		{"PrivateKey", true, (*parser).setPrivateKey},
		{"ListenPort", true, (*parser).setListenPort},
		{"FwMark", true, (*parser).setFwMark},
		{"Address", false, (*parser).addAddresses},
		{"DNS", false, (*parser).addDNS},
		{"MTU", true, (*parser).setMTU},
		{"Table", true, (*parser).setTable},
		{"SaveConfig", true, (*parser).setSaveConfig},
		{"PreUp", false, func(p *parser, v value) error { return p.addHook(&p.file.Interface.PreUp, v) }},
		{"PostUp", false, func(p *parser, v value) error { return p.addHook(&p.file.Interface.PostUp, v) }},
		{"PreDown", false, func(p *parser, v value) error { return p.addHook(&p.file.Interface.PreDown, v) }},
		{"PostDown", false, func(p *parser, v value) error { return p.addHook(&p.file.Interface.PostDown, v) }},
	}
}

func (p *parser) setPrivateKey(v value) (err error) {
	p.file.Interface.PrivateKey, err = parseKey(v.text)
	return err
}

func (p *parser) setListenPort(v value) error {
	n, err := parseUint(v.text, 65535)
	p.file.Interface.ListenPort = uint16(n)
	return err
}

func (p *parser) setFwMark(v value) (err error) {
	p.file.Interface.FwMark, err = parseMark(v.text)
	return err
}

func (p *parser) addAddresses(v value) error {
	in := &p.file.Interface
	for _, s := range list(v.text) {
		prefix, err := parsePrefix(s)
		if err != nil {
			return err
		}
		if a := prefix.Addr(); a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
			return fmt.Errorf("%s cannot be a tunnel's address", a)
		}
		if len(in.Addresses) == maxAddresses {
			return fmt.Errorf("more than %d addresses", maxAddresses)
		}
		in.Addresses = append(in.Addresses, Address{prefix, p.line})
	}
	return nil
}

// addDNS tells addresses from search domains as wg-quick does.
func (p *parser) addDNS(v value) error {
	in := &p.file.Interface
	for _, s := range list(v.text) {
		if len(in.DNS)+len(in.Search) == maxDNS {
			return fmt.Errorf("more than %d entries", maxDNS)
		}
		if !strings.Contains(s, ":") && strings.Trim(s, "0123456789.") != "" {
			if !isName(strings.TrimPrefix(s, "~")) { // "~" is systemd-resolved's
				return fmt.Errorf("%s is neither an address nor a search domain", shown(s))
			}
			in.Search = append(in.Search, s)
			continue
		}
		a, err := parseAddr(s)
		if err != nil {
			return fmt.Errorf("%s is not an IP address", shown(s))
		}
		in.DNS = append(in.DNS, a)
	}
	return nil
}

func (p *parser) setMTU(v value) error {
	if v.text == "" { // wg-quick: not given
		return nil
	}
	n, err := parseUint(v.text, 65535)
	p.file.Interface.MTU = int(n)
	return err
}

func (p *parser) setTable(v value) (err error) {
	p.file.Interface.Table, err = parseTable(v.text)
	return err
}

func (p *parser) setSaveConfig(v value) error {
	switch strings.ToLower(v.text) {
	case "true":
		p.file.Interface.SaveConfig = true
	case "false":
	default:
		return errors.New("neither true nor false")
	}
	return nil
}

func (p *parser) addHook(hooks *[]Hook, v value) error {
	if v.raw == "" {
		return nil
	}
	if p.hooks++; p.hooks > maxHooks {
		return fmt.Errorf("more than %d commands", maxHooks)
	}
	*hooks = append(*hooks, Hook{v.raw, p.line})
	return nil
}
