// Package recovery tests that a chain survives the death of its relays. Its
// tests wait for minutes, and so run beside those of package e2e.
package recovery
