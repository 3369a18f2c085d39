// Command bbolt-check lets Go's own bbolt judge a bolt file.
//
//	bbolt-check check FILE   runs every check bbolt has; prints OK and how many keys there are
//	bbolt-check dump FILE    prints each bucket with its sequence, and each key with its value, in hex
package main

import (
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bbolt-check:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: bbolt-check check|dump FILE")
	}
	db, err := bolt.Open(args[1], 0, &bolt.Options{ReadOnly: true, Timeout: 5 * time.Second, PreLoadFreelist: true})
	if err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		if args[0] == "dump" {
			return buckets(tx, func(line string) { fmt.Println(line) })
		}
		if err := check(tx); err != nil {
			return fmt.Errorf("%s: %w", args[1], err)
		}
		keys := 0
		if err := buckets(tx, func(string) { keys++ }); err != nil {
			return err
		}
		fmt.Println("OK", keys)
		return nil
	})
}

// check returns the first fault, after draining the rest: the checker must end before the transaction does.
func check(tx *bolt.Tx) error {
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = err
		}
	}
	return first
}

func buckets(tx *bolt.Tx, emit func(string)) error {
	return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		return walk(fmt.Sprintf("%x", name), b, emit)
	})
}

func walk(path string, b *bolt.Bucket, emit func(string)) error {
	emit(fmt.Sprintf("%s/ #%d", path, b.Sequence()))
	return b.ForEach(func(key, value []byte) error {
		at := fmt.Sprintf("%s/%x", path, key)
		if value == nil {
			return walk(at, b.Bucket(key), emit)
		}
		emit(fmt.Sprintf("%s = %x", at, value))
		return nil
	})
}
