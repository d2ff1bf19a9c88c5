package packet

import (
	"math/rand/v2"
	"testing"
)

func TestSum(t *testing.T) {
	// The example of RFC 1071, section 3.
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := Fold(Sum(b, 0)); got != 0xddf2 {
		t.Errorf("RFC 1071: got %#x, want 0xddf2", got)
	}

	rnd := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 1600)
	for n := range buf {
		b := buf[n%8 : n] // every alignment
		if n < 8 {
			b = buf[:n]
		}
		for i := range b {
			b[i] = byte(rnd.Uint32())
			if n%3 == 0 {
				b[i] = 0xff // every carry
			}
		}
		acc := rnd.Uint32()
		if n%2 == 0 {
			acc = 0xffffffff
		}
		got, want := Fold(Sum(b, acc)), naiveSum(b, []byte{byte(acc >> 24), byte(acc >> 16), byte(acc >> 8), byte(acc)})
		if got != want {
			t.Fatalf("%d bytes, acc %#x: got %#x, want %#x", len(b), acc, got, want)
		}
		even := len(b) / 2 &^ 1
		if got := Fold(Sum(b[even:], Sum(b[:even], acc))); got != want {
			t.Fatalf("%d bytes in two pieces: got %#x, want %#x", len(b), got, want)
		}
	}
}

// TestUpdate checks every checksum against a recomputation, for changes at the
// edges of 16 bits.
func TestUpdate(t *testing.T) {
	if got := Update(0xdd2f, 0x5555, 0x3285); got != 0 {
		t.Errorf("RFC 1624, section 4: got %#x, want 0", got)
	}
	edges := []uint16{0, 1, 2, 0x00ff, 0x0100, 0x7fff, 0x8000, 0xfffe, 0xffff}
	word := func(w uint16) []byte { return []byte{byte(w >> 8), byte(w)} }
	for rest := range 0x10000 {
		// A word that is never 0, such as IPv4's first, keeps sums from being
		// empty, as in every packet.
		other := []byte{0x45, 0, byte(rest >> 8), byte(rest)}
		for _, old := range edges {
			check := ^naiveSum(other, word(old))
			for _, new := range edges {
				if got, want := Update(check, old, new), ^naiveSum(other, word(new)); got != want {
					t.Fatalf("Update(%#x, %#x, %#x) = %#x, want %#x", check, old, new, got, want)
				}
			}
		}
	}
}

func BenchmarkSum(b *testing.B) {
	buf := make([]byte, 1420)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		Sum(buf, 0)
	}
}
