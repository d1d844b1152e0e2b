package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	provisioner = "cluster.modelrunner.test/folder"
	// A storage class with this parameter "true" gives volumes that are really
	// full when their size is reached (a tmpfs); plain folders have no bound.
	limited = "limited"
)

// folders provisions each volume as a folder of the node. Unlike the controller
// manager's host-path provisioner it makes volumes a non-root pod can write
// (0777, and of type local, to which the kubelet applies fsGroup).
type folders struct{ root, node string }

func (f folders) Provision(_ context.Context, o controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	path := filepath.Join(f.root, o.PVName)
	size := o.PVC.Spec.Resources.Requests[core.ResourceStorage]
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	if o.StorageClass.Parameters[limited] == "true" && !mounted(path) {
		if err := unix.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0777", size.Value())); err != nil {
			return nil, controller.ProvisioningFinished, err
		}
	}
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	onNode := core.NodeSelectorTerm{MatchExpressions: []core.NodeSelectorRequirement{
		{Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{f.node}},
	}}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: o.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: size},
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity:                  &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{onNode}}},
		},
	}, controller.ProvisioningFinished, nil
}

func (f folders) Delete(_ context.Context, volume *core.PersistentVolume) error {
	path := filepath.Join(f.root, volume.Name)
	// EINVAL: not a mount point, so a volume without a limit.
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return os.RemoveAll(path)
}

// mounted tells whether a retry finds the file system of its first attempt.
func mounted(path string) bool {
	var here, parent unix.Stat_t
	return unix.Stat(path, &here) == nil && unix.Stat(filepath.Dir(path), &parent) == nil && here.Dev != parent.Dev
}

func provisionVolumes(arguments []string) {
	flags := flag.NewFlagSet("volumes", flag.ExitOnError)
	config := flags.String("kubeconfig", "", "")
	root := flags.String("root", "", "folder that holds the volumes")
	node := flags.String("node", "", "name of the node that sees it")
	_ = flags.Parse(arguments)
	rest, err := clientcmd.BuildConfigFromFlags("", *config)
	if err != nil {
		log.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(rest)
	ctx := context.Background()
	controller.NewProvisionController(ctx, client, provisioner, folders{*root, *node},
		controller.LeaderElection(false)).Run(ctx)
}
