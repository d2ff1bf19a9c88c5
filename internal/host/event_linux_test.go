package host

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// message returns a message of NETLINK_ROUTE about a route, with attributes of 4
// bytes.
func message(what uint16, family, bits, table byte, flags uint32, dst []byte, attrs map[uint16]uint32) syscall.NetlinkMessage {
	b := make([]byte, unix.SizeofRtMsg)
	b[0], b[1], b[4], b[5], b[7] = family, bits, table, Protocol, unix.RTN_UNICAST
	binary.NativeEndian.PutUint32(b[8:], flags)
	add := func(kind uint16, value []byte) {
		b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		b = append(b, value...)
	}
	if dst != nil {
		add(unix.RTA_DST, dst)
	}
	for kind, v := range attrs {
		add(kind, binary.NativeEndian.AppendUint32(nil, v))
	}
	return syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: what}, Data: b}
}

func TestParseEvent(t *testing.T) {
	all := map[uint16]uint32{unix.RTA_TABLE: 52820, unix.RTA_PRIORITY: lastMetric, unix.RTA_OIF: 7}
	tests := []struct {
		name string
		m    syscall.NetlinkMessage
		want event
		ok   bool
	}{
		{"a route", message(unix.RTM_DELROUTE, unix.AF_INET, 16, 252, 0, []byte{10, 20, 0, 0}, all),
			event{unix.RTM_DELROUTE, hostRoute{route: route{network: networkOf(netip.MustParsePrefix("10.20.0.0/16")), metric: lastMetric, table: 52820},
				what: unix.RTN_UNICAST, proto: Protocol, index: 7}}, true},
		{"a default route of IPv6", message(unix.RTM_NEWROUTE, unix.AF_INET6, 0, 254, 0, nil, nil),
			event{unix.RTM_NEWROUTE, hostRoute{route: route{network: networkOf(netip.MustParsePrefix("::/0")), table: 254},
				what: unix.RTN_UNICAST, proto: Protocol}}, true},
		{"the table local", message(unix.RTM_NEWROUTE, unix.AF_INET, 32, 255, 0, []byte{10, 0, 0, 1}, nil), event{}, false},
		{"a cached route", message(unix.RTM_NEWROUTE, unix.AF_INET6, 0, 254, unix.RTM_F_CLONED, nil, nil), event{}, false},
		{"more bits than the address", message(unix.RTM_NEWROUTE, unix.AF_INET, 99, 254, 0, []byte{10, 0, 0, 0}, nil), event{}, false},
		{"too short", syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_NEWROUTE}, Data: []byte{2}}, event{}, false},
		{"a neighbour", syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_NEWNEIGH}, Data: make([]byte, 64)}, event{}, false},
	}
	for _, tt := range tests {
		got, ok := parseEvent(tt.m)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	m := message(unix.RTM_NEWROUTE, unix.AF_INET, 16, 252, 0, []byte{10, 20, 0, 0}, map[uint16]uint32{unix.RTA_TABLE: 1})
	for _, what := range []uint16{unix.RTM_NEWROUTE, unix.RTM_NEWRULE, unix.RTM_NEWLINK, unix.RTM_NEWADDR} {
		f.Add(what, m.Data)
	}
	f.Fuzz(func(t *testing.T, what uint16, data []byte) {
		e, ok := parseEvent(syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: what}, Data: data})
		if ok && (what == unix.RTM_NEWROUTE || what == unix.RTM_DELROUTE) && !e.prefix().IsValid() {
			t.Errorf("%+v", e)
		}
	})
}
