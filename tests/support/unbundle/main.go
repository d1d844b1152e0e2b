// Command unbundle reads and makes model artifacts with Docker's own library, which has no command
// for those with a layer for each file.
//
//	unbundle STORE pull REFERENCE             prints the folder with the model's files
//	unbundle STORE package FOLDER REFERENCE   pushes a folder
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/docker/model-runner/pkg/distribution/builder"
	"github.com/docker/model-runner/pkg/distribution/distribution"
	"github.com/docker/model-runner/pkg/distribution/registry"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(store, verb string, arguments []string) error {
	ctx := context.Background()
	if verb == "package" {
		made, err := builder.FromDirectory(arguments[0])
		if err != nil {
			return err
		}
		target, err := registry.NewClient().NewTarget(arguments[1])
		if err != nil {
			return err
		}
		return made.Build(ctx, target, io.Discard)
	}
	client, err := distribution.NewClient(distribution.WithStoreRootPath(store))
	if err != nil {
		return err
	}
	if err := client.PullModel(ctx, arguments[0], io.Discard); err != nil {
		return err
	}
	bundle, err := client.GetBundle(arguments[0])
	if err != nil {
		return err
	}
	fmt.Println(bundle.RootDir())
	return nil
}
