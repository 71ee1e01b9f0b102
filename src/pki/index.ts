export * from './atomic-file.ts';
export * from './authority.ts';
export * from './authority-folder.ts';
export * from './certificate-content.ts';
export * from './pair-files.ts';
export * from './reloading.ts';
export * from './renewal.ts';
