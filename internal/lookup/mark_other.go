//go:build !linux

package lookup

// setMark does nothing: the system has no firewall marks.
func setMark(uintptr, uint32) error { return nil }
