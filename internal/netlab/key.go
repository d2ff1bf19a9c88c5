package netlab

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
)

// A Key is a WireGuard key: private, public or preshared. The zero Key means
// none.
type Key [32]byte

// NewKey returns a private or preshared key.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // never fails
	k[0] &= 248            // RFC 7748, section 5; harmless to a preshared key
	k[31] = k[31]&127 | 64
	return k
}

// Public returns the public key of the private key k.
func (k Key) Public() Key {
	priv, err := ecdh.X25519().NewPrivateKey(k[:])
	if err != nil {
		panic("netlab: " + err.Error()) // only for a wrong length
	}
	return Key(priv.PublicKey().Bytes())
}

// Base64 is the key as wg and wg-quick write it.
func (k Key) Base64() string { return base64.StdEncoding.EncodeToString(k[:]) }

// Hex is the key as the UAPI writes it.
func (k Key) Hex() string { return hex.EncodeToString(k[:]) }

// IsZero reports whether k means none.
func (k Key) IsZero() bool { return k == Key{} }
