package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// syn returns a SYN with the given options, padded, and a correct checksum.
func syn(t testing.TB, packet string, flags byte, opts ...byte) []byte {
	b := golden(t, packet)
	m := parse(t, b)
	for len(opts)%4 != 0 {
		opts = append(opts, tcpOptEnd)
	}
	b = append(b[:m.L4+20], opts...)
	if m.Version == 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	}
	tcp := b[m.L4:]
	tcp[12] = byte(20+len(opts)) / 4 << 4
	tcp[13] = flags
	tcp[16], tcp[17] = 0, 0
	m = parse(t, b)
	binary.BigEndian.PutUint16(tcp[16:], ^l4Sum(b, &m))
	return b
}

func TestClampMSS(t *testing.T) {
	tests := []struct {
		name  string
		flags byte
		opts  []byte
		mss   uint16
		want  []byte // options afterwards; nil: nothing changes
	}{
		{"SYN", 0x02, []byte{2, 4, 5, 180}, 1340, []byte{2, 4, 5, 60}},
		{"SYN-ACK", 0x12, []byte{2, 4, 5, 180}, 1340, []byte{2, 4, 5, 60}},
		{"SYN with ECN", 0xc2, []byte{2, 4, 5, 180}, 1340, []byte{2, 4, 5, 60}},
		{"ACK", 0x10, []byte{2, 4, 5, 180}, 1340, nil},
		{"RST", 0x04, []byte{2, 4, 5, 180}, 1340, nil},
		{"already lower", 0x02, []byte{2, 4, 2, 24}, 1340, nil},
		{"equal", 0x02, []byte{2, 4, 5, 60}, 1340, nil},
		{"to 0", 0x02, []byte{2, 4, 0xff, 0xff}, 0, []byte{2, 4, 0, 0}},
		{"at an odd offset", 0x02, []byte{1, 2, 4, 5, 180}, 1340, []byte{1, 2, 4, 5, 60}},
		{"behind other options", 0x02, []byte{4, 2, 3, 3, 7, 2, 4, 5, 180}, 1340, []byte{4, 2, 3, 3, 7, 2, 4, 5, 60}},
		{"twice", 0x02, []byte{2, 4, 5, 180, 1, 2, 4, 5, 180}, 1340, []byte{2, 4, 5, 60, 1, 2, 4, 5, 60}},
		{"no options", 0x02, nil, 1340, nil},
		{"no MSS", 0x02, []byte{1, 1, 1, 1}, 1340, nil},
		{"behind the end of options", 0x02, []byte{0, 2, 4, 5, 180}, 1340, nil},
		{"wrong length", 0x02, []byte{2, 3, 5, 180}, 1340, nil},
		{"length 0", 0x02, []byte{3, 0, 2, 4, 5, 180}, 1340, nil},
		{"length 1", 0x02, []byte{3, 1, 2, 4, 5, 180}, 1340, nil},
		{"option past the header", 0x02, []byte{3, 9, 2, 4, 5, 180}, 1340, nil},
		{"cut", 0x02, []byte{1, 1, 2, 4}, 1340, nil},
		{"kind without length", 0x02, []byte{1, 1, 1, 2}, 1340, nil},
	}
	for _, tt := range tests {
		for _, packet := range []string{tcp4, tcp6} {
			b := syn(t, packet, tt.flags, bytes.Clone(tt.opts)...)
			want := b
			if tt.want != nil {
				want = syn(t, packet, tt.flags, tt.want...)
			}
			got := append(bytes.Clone(b), 2, 4, 0xff, 0xff) // not of the packet
			m := parse(t, got)
			clamped := ClampMSS(got, &m, tt.mss)
			if clamped != (tt.want != nil) || !bytes.Equal(got[:m.Len], want) {
				t.Errorf("%s, IPv%d: clamped %v\ngot  % x\nwant % x", tt.name, m.Version, clamped, got[:m.Len], want)
			}
			if !bytes.Equal(got[m.Len:], []byte{2, 4, 0xff, 0xff}) {
				t.Errorf("%s: wrote past the packet", tt.name)
			}
		}
	}

	for name, edit := range map[string]func([]byte) []byte{"UDP": set(9, ProtoUDP), "later fragment": set(6, 0, 4)} {
		b := edit(golden(t, tcp4))
		m := parse(t, b)
		if before := bytes.Clone(b); ClampMSS(b, &m, 500) || !bytes.Equal(b, before) {
			t.Errorf("%s was clamped", name)
		}
	}
}

// TestClampMSSChecksum checks every value against a recomputation, at even and
// odd offsets.
func TestClampMSSChecksum(t *testing.T) {
	for old := range 0x10000 {
		for _, mss := range []uint16{0, 1, 255, 256, 1340} {
			for _, lead := range [][]byte{nil, {1}} {
				b := syn(t, tcp4, FlagSYN, append(lead, 2, 4, byte(old>>8), byte(old))...)
				m := parse(t, b)
				if ClampMSS(b, &m, mss) != (uint16(old) > mss) || residue(l4Sum(b, &m)) != 0 {
					t.Fatalf("%d to %d: % x", old, mss, b)
				}
			}
			if testing.Short() || old%17 != 0 {
				break
			}
		}
	}
}

func FuzzClampMSS(f *testing.F) {
	f.Add(golden(f, tcp4), uint16(1340))
	f.Add(golden(f, tcp6), uint16(1220))
	f.Add(syn(f, tcp4, 0x12, 1, 2, 4, 5, 180), uint16(500))
	f.Add(syn(f, tcp6, 0x02, 2, 4, 5, 180, 3, 0), uint16(500))
	f.Fuzz(func(t *testing.T, b []byte, mss uint16) {
		var m Meta
		if m.Parse(b) != OK {
			return
		}
		got := bytes.Clone(b)
		clamped := ClampMSS(got, &m, mss)
		if clamped == bytes.Equal(got, b) {
			t.Fatalf("clamped %v, but the bytes differ: %v", clamped, !clamped)
		}
		if !clamped {
			return
		}
		if residue(l4Sum(got, &m)) != residue(l4Sum(b, &m)) {
			t.Fatalf("checksum: % x", got[m.L4:m.Len])
		}
		end := m.L4 + int(b[m.L4+12]>>4)*4
		for i := range got {
			if check := i == m.L4+16 || i == m.L4+17; got[i] != b[i] && !check && (i < m.L4+22 || i >= end) {
				t.Fatalf("byte %d changed", i)
			}
		}
		if again := bytes.Clone(got); ClampMSS(again, &m, mss) || !bytes.Equal(again, got) {
			t.Fatal("clamped twice")
		}
	})
}
