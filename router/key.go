package router

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/crypto/curve25519"
)

// KeySize is the length of a Key in bytes.
const KeySize = 32

// redacted is what every implicit way to print a Key shows.
const redacted = "(hidden)"

// A Key is a Curve25519 private or public key, or a preshared key.
// The zero Key means "none".
//
// A Key never prints itself: fmt, log/slog and encoding/json show "(hidden)"
// whatever the verb (but for %p, which go vet refuses). Encode is the one way to
// its text. fmt sees no method of a Key in an unexported field: keep such a field
// behind a pointer.
type Key [KeySize]byte

var errKey = errors.New("not a key: want 32 bytes in base64, 44 characters ending in =")

// ParseKey decodes the base64 form that wg uses. Its error does not repeat s.
func ParseKey(s string) (Key, error) {
	var k Key
	if len(s) != base64.StdEncoding.EncodedLen(KeySize) {
		return Key{}, errKey
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != KeySize {
		return Key{}, errKey
	}
	copy(k[:], b)
	return k, nil
}

// NewPrivateKey returns a new, clamped private key (RFC 7748, section 5).
func NewPrivateKey() Key {
	k := NewPresharedKey()
	k[0] &= 248
	k[31] = k[31]&127 | 64
	return k
}

// NewPresharedKey returns 32 random bytes.
func NewPresharedKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // crypto/rand.Read never fails
	return k
}

// Public returns the public key that belongs to the private key k.
func (k Key) Public() Key {
	var pub Key
	b, err := curve25519.X25519(k[:], curve25519.Basepoint)
	if err != nil { // only for a low-order point, and the base point is none
		panic("router: " + err.Error())
	}
	copy(pub[:], b)
	return pub
}

// IsZero reports whether k is unset.
func (k Key) IsZero() bool { return k == Key{} }

// Encode returns k in wg's base64 form. The result is secret if k is.
func (k Key) Encode() string { return base64.StdEncoding.EncodeToString(k[:]) }

// hex returns k in the form of the UAPI.
func (k Key) hex() string { return hex.EncodeToString(k[:]) }

// Format implements fmt.Formatter: no verb shows a key's bytes.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, and so encoding/json's form:
// the redacted one.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
