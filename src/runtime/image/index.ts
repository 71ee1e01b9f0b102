export { ImageStore, type ImportedImage, type ImportOptions, type StoredImage } from './image-store.ts';
export type { ImportProgress } from './import-meter.ts';
export type { ImageConfig } from './manifest.ts';
export { fullReference } from './reference.ts';
export { RootFolder } from './root-folder.ts';
