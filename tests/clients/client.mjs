// What programs do with the JavaScript client: driven by javascript.rs against a cluster of its own.

import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const namespace = 'javascript';
const config = new k8s.KubeConfig();
config.loadFromFile(process.env.KUBECONFIG);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const soon = (what) => new Promise((_, fail) => setTimeout(() => fail(new Error(`${what} takes too long`)), 30_000).unref());

assert.equal((await config.makeApiClient(k8s.VersionApi).getCode()).minor, '33');
await core.createNamespace({ body: { metadata: { name: namespace } } });
await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'a', labels: { x: 'y' } }, data: { x: '1' } } });
const missing = await core.readNamespacedConfigMap({ namespace, name: 'none' }).catch((error) => error);
assert.equal(missing.code, 404);
assert.match(missing.body, /configmaps \\"none\\" not found/);

// The patch types: it sends a JSON patch unless told otherwise.
const replaced = await core.patchNamespacedConfigMap({ namespace, name: 'a', body: [{ op: 'replace', path: '/data/x', value: '2' }] });
assert.deepEqual(replaced.data, { x: '2' });
const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch);
const merged = await core.patchNamespacedConfigMap({ namespace, name: 'a', body: { data: { y: '2' } } }, merge);
assert.deepEqual(merged.data, { x: '2', y: '2' });

// A watch, and an informer, which lists and watches.
const path = `/api/v1/namespaces/${namespace}/configmaps`;
const watched = new Promise((seen) => {
    new k8s.Watch(config).watch(path, { allowWatchBookmarks: true, labelSelector: 'x=y' }, (type, object) => seen([type, object.metadata.name]), () => {});
});
assert.deepEqual(await Promise.race([watched, soon('the watch')]), ['ADDED', 'a']);
const informer = k8s.makeInformer(config, path, () => core.listNamespacedConfigMap({ namespace, labelSelector: 'x=y' }), 'x=y');
const heard = [];
const deleted = new Promise((seen, fail) => {
    informer.on('add', (object) => heard.push(['add', object.metadata.name]));
    informer.on('update', (object) => heard.push(['update', object.data.x]));
    informer.on('delete', (object) => { heard.push(['delete', object.metadata.name]); seen(); });
    informer.on('error', fail);
});
await informer.start();
await core.patchNamespacedConfigMap({ namespace, name: 'a', body: { data: { x: '3' } } }, merge);
await core.deleteNamespacedConfigMap({ namespace, name: 'a' });
await Promise.race([deleted, soon('the informer')]);
assert.deepEqual(heard, [['add', 'a'], ['update', '3'], ['delete', 'a']]);
await informer.stop();

// Pods: commands and logs.
await core.createNamespacedPod({ namespace, body: { metadata: { name: 'p' }, spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'app:1' }] } } });
for (let tries = 0; (await core.readNamespacedPod({ namespace, name: 'p' })).status.phase !== 'Running'; tries++) {
    assert(tries < 600, 'the pod does not run');
    await new Promise((go) => setTimeout(go, 50));
}
const collect = () => {
    const stream = new PassThrough();
    const collected = { stream, text: '' };
    stream.on('data', (piece) => { collected.text += piece; });
    return collected;
};
const run = (command) => new Promise(async (ended) => {
    const [out, errors] = [collect(), collect()];
    await new k8s.Exec(config).exec(namespace, 'p', 'c', command, out.stream, errors.stream, null, false, (status) => ended([status, out.text, errors.text]));
});
const [status, out] = await Promise.race([run(['echo', 'hi']), soon('exec')]);
assert.deepEqual([status.status, out], ['Success', 'hi\n']);
const [failed] = await Promise.race([run(['exit', '3']), soon('exec')]);
assert.deepEqual([failed.reason, failed.details.causes[0].message], ['NonZeroExitCode', '3']);
await new k8s.Log(config).log(namespace, 'p', 'c', collect().stream, { tailLines: 1 });

// Objects of any kind, server-side apply, scale, metrics.
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const any = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'any', namespace } };
await objects.create(any);
const applied = await objects.patch({ ...any, data: { q: '1' } }, undefined, undefined, 'javascript', true, k8s.PatchStrategy.ServerSideApply);
assert.deepEqual(applied.data, { q: '1' });
const labels = { app: 'd' };
const spec = { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'app:1' }] } } };
await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: 'd' }, spec } });
const scaled = await apps.patchNamespacedDeploymentScale({ namespace, name: 'd', body: { spec: { replicas: 2 } } }, merge);
assert.equal(scaled.spec.replicas, 2);
assert.equal((await k8s.topNodes(core)).length, 2);
await core.deleteNamespace({ name: namespace });
console.log('done');
process.exit(0);
