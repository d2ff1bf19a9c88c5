package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"multihop/router"
)

func newGenkeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "genkey",
		Short:   "Print a new private key",
		Long:    "Print a new private key in base64, as \"wg genkey\" does.",
		Example: "  umask 077; multihop genkey > private.key",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printSecret(cmd, router.NewPrivateKey())
		},
	}
}

func newGenpskCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "genpsk",
		Short:   "Print a new preshared key",
		Long:    "Print a new preshared key in base64, as \"wg genpsk\" does.",
		Example: "  umask 077; multihop genpsk > preshared.key",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printSecret(cmd, router.NewPresharedKey())
		},
	}
}

func newPubkeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "pubkey",
		Short:   "Print the public key of a private key read from stdin",
		Long:    "Read a private key in base64 from stdin and print its public key, as \"wg pubkey\" does.",
		Example: "  multihop pubkey < private.key",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1024)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("stdin: %w", err)
			}
			key, err := router.ParseKey(strings.TrimSpace(line))
			if err != nil {
				return fmt.Errorf("stdin: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key.Public().Encode())
			return err
		},
	}
}

// printSecret prints a key, and warns, as wg does, when everybody could read
// the file that it goes to.
func printSecret(cmd *cobra.Command, key router.Key) error {
	out := cmd.OutOrStdout()
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "multihop: warning: writing to a file that every user can read: set umask 077 first")
		}
	}
	_, err := fmt.Fprintln(out, key.Encode())
	return err
}
