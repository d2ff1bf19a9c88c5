package control

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"multihop/router"
)

// Names of protocols that ParseProto takes.
const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

// ParseFlow reads the query of /route.
func ParseFlow(q url.Values) (f router.Flow, err error) {
	for key, values := range q {
		if len(values) > 1 {
			return f, fmt.Errorf("%s: given %d times", key, len(values))
		}
		v := values[0]
		switch key {
		case "dst":
			f.Dst, err = parseAddr(v)
		case "src":
			f.Src, err = parseAddr(v)
		case "proto":
			f.Proto, err = ParseProto(v)
		case "sport":
			f.SrcPort, err = parsePort(v)
		case "dport":
			f.Port, err = parsePort(v)
		case "size":
			f.Size, err = strconv.Atoi(v)
			if err != nil || f.Size < 1 || f.Size > 1<<17 {
				err = fmt.Errorf("%q is no number of bytes", v)
			}
		case "df":
			f.DF, err = strconv.ParseBool(v)
			if err != nil {
				err = fmt.Errorf("%q: want true or false", v)
			}
		case "from":
			f.FromHop = v
		default:
			err = errors.New("unknown: want dst, src, proto, sport, dport, size, df or from")
		}
		if err != nil {
			return router.Flow{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	switch {
	case f.FromHop == "" && !f.Dst.IsValid():
		return f, errors.New("dst: missing")
	case f.FromHop != "" && !f.Src.IsValid():
		return f, errors.New("src: missing: a packet from a hop has one")
	}
	return f, nil
}

// Query returns the query of /route that ParseFlow reads as f.
func Query(f router.Flow) url.Values {
	q := make(url.Values)
	set := func(key string, given bool, v any) {
		if given {
			q.Set(key, fmt.Sprint(v))
		}
	}
	set("dst", f.Dst.IsValid(), f.Dst)
	set("src", f.Src.IsValid(), f.Src)
	set("proto", f.Proto != 0, f.Proto)
	set("sport", f.SrcPort != 0, f.SrcPort)
	set("dport", f.Port != 0, f.Port)
	set("size", f.Size != 0, f.Size)
	set("df", f.DF, f.DF)
	set("from", f.FromHop != "", f.FromHop)
	return q
}

// ParseProto returns the number of an IP protocol: of tcp, udp or icmp (of either
// family), or a number from 1 to 255.
func ParseProto(s string) (uint8, error) {
	switch strings.ToLower(s) {
	case "icmp":
		return protoICMP, nil
	case "tcp":
		return protoTCP, nil
	case "udp":
		return protoUDP, nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q: want tcp, udp, icmp, or a number from 1 to 255", s)
	}
	return uint8(n), nil
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is not an address", s)
	}
	return a.Unmap(), nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q: want a port from 0 to 65535", s)
	}
	return uint16(n), nil
}
