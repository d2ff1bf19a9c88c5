//go:build !unix

package main

import (
	"os"

	"multihop/internal/host"
)

func openLog(string) (*os.File, string, error) { return nil, "", host.ErrUnsupported }

func journalStream(*os.File) string { return "" }
