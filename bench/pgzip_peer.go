// SPDX-License-Identifier: Apache-2.0

// A peer to measure against: archives as Wings makes and restores them, with the libraries that it
// uses.  `create DIR FILE` writes a tar through pgzip (BestSpeed, one block of 1 MiB at a time) and
// then reads the file once more for its SHA-1; `extract FILE DIR` is one gzip reader and a write a
// file.  bench/archive builds it from Debian's packages.
package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha1"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/pgzip"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func add(writer *tar.Writer, root, path string, info os.FileInfo, buffer []byte) error {
	link := ""
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		link = target
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name, err = filepath.Rel(root, path)
	if err != nil {
		return err
	}
	if err := writer.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.CopyBuffer(writer, io.LimitReader(file, header.Size), buffer)
	return err
}

func create(root, name string) {
	file, err := os.Create(name)
	must(err)
	packer, err := pgzip.NewWriterLevel(file, pgzip.BestSpeed)
	must(err)
	must(packer.SetConcurrency(1<<20, 1))
	writer := tar.NewWriter(packer)
	buffer := make([]byte, 4096)
	must(filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || path == root {
			return err
		}
		return add(writer, root, path, info, buffer)
	}))
	must(writer.Close())
	must(packer.Close())
	must(file.Close())

	file, err = os.Open(name)
	must(err)
	sum := sha1.New()
	_, err = io.Copy(sum, file)
	must(err)
	fmt.Printf("sha1:%x\n", sum.Sum(nil))
}

func write(path string, header *tar.Header, reader io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, os.FileMode(header.Mode))
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.CopyBuffer(file, reader, make([]byte, 4096)); err != nil {
		return err
	}
	return os.Chtimes(path, header.ModTime, header.ModTime)
}

func extract(name, root string) {
	file, err := os.Open(name)
	must(err)
	unpacker, err := gzip.NewReader(file)
	must(err)
	reader := tar.NewReader(unpacker)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return
		}
		must(err)
		path := filepath.Join(root, filepath.Clean("/"+header.Name))
		switch header.Typeflag {
		case tar.TypeDir:
			must(os.MkdirAll(path, 0o755))
		case tar.TypeReg:
			must(write(path, header, reader))
		case tar.TypeSymlink:
			must(os.Symlink(header.Linkname, path))
		}
	}
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "create" {
		create(os.Args[2], os.Args[3])
	} else if len(os.Args) == 4 && os.Args[1] == "extract" {
		extract(os.Args[2], os.Args[3])
	} else {
		fmt.Fprintln(os.Stderr, "usage: pgzip_peer create DIR FILE | extract FILE DIR")
		os.Exit(2)
	}
}
