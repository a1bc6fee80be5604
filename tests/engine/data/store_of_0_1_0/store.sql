BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0004');
CREATE TABLE audit_events (
	id VARCHAR(32) NOT NULL, 
	dataset_id VARCHAR(16) NOT NULL, 
	image_id VARCHAR(32) NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	subset VARCHAR(200) NOT NULL, 
	path TEXT NOT NULL, 
	dataset_version VARCHAR(32) NOT NULL, 
	reviewer VARCHAR(200) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	"before" FLOAT, 
	"after" FLOAT, 
	reason TEXT NOT NULL, 
	region JSON, 
	other VARCHAR(32), 
	other_hash VARCHAR(64) NOT NULL, 
	other_path TEXT NOT NULL, 
	scores_visible BOOLEAN NOT NULL, 
	seconds FLOAT NOT NULL, 
	time FLOAT NOT NULL, 
	undoes VARCHAR(32), 
	CONSTRAINT pk_audit_events PRIMARY KEY (id)
);
INSERT INTO "audit_events" VALUES('b86d9c2516794bc5954c4a8ed8ebf294','6f9568ac6a56','96b143000cffad05','2c56ac40faee65da492d23e6bb057337','bolt','level_1/0.png','0cad0a652e1661a58d2c1147','Ada','level',1.0,2.0,'deep',NULL,NULL,'','',0,0.0,1.79598865981578779222e+09,NULL);
INSERT INTO "audit_events" VALUES('1413f7b69f2241b4a583de656f07711f','6f9568ac6a56','96b143000cffad05','2c56ac40faee65da492d23e6bb057337','bolt','level_1/0.png','0cad0a652e1661a58d2c1147','Ben','level',1.0,1.0,'',NULL,NULL,'','',0,0.0,1.7959886598841304779e+09,NULL);
INSERT INTO "audit_events" VALUES('a2bdfc98345a46e19d24469a88a0ed99','6f9568ac6a56','9c53e4d7ea11be95','a6f8f22402b4d063fbba118144c211cf','nut','level_2/1.png','0cad0a652e1661a58d2c1147','Ada','level',2.0,1.0,'',NULL,NULL,'','',0,0.0,1.79598865991002249725e+09,NULL);
INSERT INTO "audit_events" VALUES('4dc55dfe66af4deab14bf7176e6f8054','6f9568ac6a56','9c53e4d7ea11be95','a6f8f22402b4d063fbba118144c211cf','nut','level_2/1.png','0cad0a652e1661a58d2c1147','Ada','undo',1.0,2.0,'',NULL,NULL,'','',0,0.0,1.79598866000610613829e+09,'a2bdfc98345a46e19d24469a88a0ed99');
CREATE TABLE audit_places (
	event_id VARCHAR(32) NOT NULL, 
	dataset_id VARCHAR(16) NOT NULL, 
	image_id VARCHAR(32) NOT NULL, 
	other VARCHAR(32), 
	CONSTRAINT pk_audit_places PRIMARY KEY (event_id, dataset_id), 
	CONSTRAINT fk_audit_places_event_id FOREIGN KEY(event_id) REFERENCES audit_events (id), 
	CONSTRAINT fk_audit_places_dataset_id FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE
);
INSERT INTO "audit_places" VALUES('b86d9c2516794bc5954c4a8ed8ebf294','6f9568ac6a56','96b143000cffad05',NULL);
INSERT INTO "audit_places" VALUES('1413f7b69f2241b4a583de656f07711f','6f9568ac6a56','96b143000cffad05',NULL);
INSERT INTO "audit_places" VALUES('a2bdfc98345a46e19d24469a88a0ed99','6f9568ac6a56','9c53e4d7ea11be95',NULL);
INSERT INTO "audit_places" VALUES('4dc55dfe66af4deab14bf7176e6f8054','6f9568ac6a56','9c53e4d7ea11be95',NULL);
CREATE TABLE cuts (
	run_id VARCHAR(16) NOT NULL, 
	subset VARCHAR(200) NOT NULL, 
	levels JSON NOT NULL, 
	cuts JSON NOT NULL, 
	way VARCHAR(16) NOT NULL, 
	created FLOAT NOT NULL, 
	CONSTRAINT pk_cuts PRIMARY KEY (run_id, subset), 
	CONSTRAINT fk_cuts_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "cuts" VALUES('fb112f90','bolt','[0.0, 1.0, 2.0]','[2.609720584713831, 3.0193593786166204]','hand',1.79598866007031273839e+09);
CREATE TABLE datasets (
	id VARCHAR(16) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	source TEXT NOT NULL, 
	version VARCHAR(32) NOT NULL, 
	card JSON NOT NULL, 
	problems JSON NOT NULL, 
	images INTEGER NOT NULL, 
	created FLOAT NOT NULL, 
	CONSTRAINT pk_datasets PRIMARY KEY (id)
);
INSERT INTO "datasets" VALUES('6f9568ac6a56','parts','@DATA@','0cad0a652e1661a58d2c1147','{"title": "parts", "description": "", "source": "", "licence": "", "version": "", "subsets": {"bolt": {"domain": "other", "rubric": "", "product": "", "levels": {}}, "nut": {"domain": "other", "rubric": "", "product": "", "levels": {}}}}','[]',26,1.79598860191757583619e+09);
CREATE TABLE images (
	dataset_id VARCHAR(16) NOT NULL, 
	image_id VARCHAR(32) NOT NULL, 
	position INTEGER NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	template_path TEXT NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	subset VARCHAR(200) NOT NULL, 
	level FLOAT NOT NULL, 
	defect TEXT, 
	mask_path TEXT, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	CONSTRAINT pk_images PRIMARY KEY (dataset_id, image_id), 
	CONSTRAINT fk_images_dataset_id FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE
);
INSERT INTO "images" VALUES('6f9568ac6a56','98fa504e37cd0e43',0,'35432dee27331644c26a6e8bb5ad4819','@DATA@/bolt/test/level_0/0.png','level_0/0.png','test','bolt',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','e3b6a9a5a6b08acf',1,'a47f509ac4e4fd5f51be02c9fc839fa0','@DATA@/bolt/test/level_0/1.png','level_0/1.png','test','bolt',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','e478fb5bb58fe1ea',2,'5ae7f41ab9f4447574a405d21f08ece4','@DATA@/bolt/test/level_0/2.png','level_0/2.png','test','bolt',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','62303ef7189c6cfb',3,'6ef3bb85a8c05195b0d16583756e0040','@DATA@/bolt/train/level_0/0.png','train/level_0/0.png','train','bolt',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','66746e9cbdb83df5',4,'137566332fea317ffb65169556a42c1a','@DATA@/bolt/train/level_0/1.png','train/level_0/1.png','train','bolt',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','2dde4e765bfcd0c3',5,'5f277502aae0b81d30efca23948a71e8','@DATA@/bolt/train/level_0/2.png','train/level_0/2.png','train','bolt',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','92132f58896d6f05',6,'b6161a1a1033a86c14814945fcd27de3','@DATA@/bolt/train/level_0/3.png','train/level_0/3.png','train','bolt',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','96b143000cffad05',7,'2c56ac40faee65da492d23e6bb057337','@DATA@/bolt/test/level_1/0.png','level_1/0.png','test','bolt',1.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','67104efde33882db',8,'b6ba48bc9a756363ba6ab856d1b51523','@DATA@/bolt/test/level_1/1.png','level_1/1.png','test','bolt',1.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','7c26f69e7bcb213c',9,'1f65146dca81105196be43c9951302bb','@DATA@/bolt/test/level_1/2.png','level_1/2.png','test','bolt',1.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','69cd46eee9a01e1f',10,'b24995e485da6dc1bc9e63638204d296','@DATA@/bolt/test/level_2/0.png','level_2/0.png','test','bolt',2.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','7d9d6f6d67264746',11,'e42de4479de63928307413f4f77c8d56','@DATA@/bolt/test/level_2/1.png','level_2/1.png','test','bolt',2.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','f4f28bcdbd4b951d',12,'7a4a1a216cf3ea41b4be2cf77689bc69','@DATA@/bolt/test/level_2/2.png','level_2/2.png','test','bolt',2.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','a292abb18cfc3dcf',13,'b18f4d4c3c27b6d95073b367d3cbd4fc','@DATA@/nut/test/level_0/0.png','level_0/0.png','test','nut',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','2361915c642deda8',14,'2cc14149505b92fbe517047818cb67f8','@DATA@/nut/test/level_0/1.png','level_0/1.png','test','nut',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','a8426240ccb9f058',15,'ea359b01a8bd7c81dc4dcf1d1e1ed2c2','@DATA@/nut/test/level_0/2.png','level_0/2.png','test','nut',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','00e0eb80fc251480',16,'2f56ed5f24b7d2c7396747c26646a858','@DATA@/nut/train/level_0/0.png','train/level_0/0.png','train','nut',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','56e1508f02c3cec1',17,'6022bb210b907b7c821b3f2d2d072c92','@DATA@/nut/train/level_0/1.png','train/level_0/1.png','train','nut',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','1ec1fd7d1ed860cc',18,'38c8b1ecba6906fba46659bcd10017f3','@DATA@/nut/train/level_0/2.png','train/level_0/2.png','train','nut',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','c0e5a78cccf964dc',19,'c01c1e9b6375b2de9414a9771413162d','@DATA@/nut/train/level_0/3.png','train/level_0/3.png','train','nut',0.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','ba99a0840cce5dc9',20,'129d447cb59870a38f569846b78a9e47','@DATA@/nut/test/level_1/0.png','level_1/0.png','test','nut',1.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','0a28f4c30e8f93f7',21,'232353b327853f8f81e14bb42b0922c0','@DATA@/nut/test/level_1/1.png','level_1/1.png','test','nut',1.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','0e58650038c78b5d',22,'aeb34db9e9196b27b0b451f4b7d34c5b','@DATA@/nut/test/level_1/2.png','level_1/2.png','test','nut',1.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','0c0f6b779ad1fa4d',23,'6d12d13bf573246070f8682e8c8cdabf','@DATA@/nut/test/level_2/0.png','level_2/0.png','test','nut',2.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','9c53e4d7ea11be95',24,'a6f8f22402b4d063fbba118144c211cf','@DATA@/nut/test/level_2/1.png','level_2/1.png','test','nut',2.0,NULL,NULL,40,32);
INSERT INTO "images" VALUES('6f9568ac6a56','f6256e9c579a0f01',25,'b3d8daa86deacb8f6c93782daaa90fee','@DATA@/nut/test/level_2/2.png','level_2/2.png','test','nut',2.0,NULL,NULL,40,32);
CREATE TABLE jobs (
	id INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	payload JSON NOT NULL, 
	"key" VARCHAR(80) NOT NULL, 
	device VARCHAR(40) NOT NULL, 
	quick INTEGER NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	cancel INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	worker VARCHAR(40), 
	progress JSON NOT NULL, 
	result JSON, 
	error TEXT, 
	created FLOAT NOT NULL, 
	started FLOAT, 
	heartbeat FLOAT, 
	finished FLOAT, 
	CONSTRAINT pk_jobs PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES(1,'run','{"run": "fb112f90"}','run:fb112f90','auto',0,'done',0,1,'827f2c6f41b24456b99238139f8d0777','{"phase": "normals", "subset": "nut", "phase_done": 4, "phase_total": 4, "done": 18, "total": 18, "rate": 2.0576545288033845, "seconds_left": 0.0}','{"run": "fb112f90", "n": 18, "seconds_fit": 5.335791939000046, "seconds_score": 8.747824160000164}',NULL,1.79598860234316325189e+09,1.79598862349043679239e+09,1.79598864300119543074e+09,1.79598864300243091585e+09);
INSERT INTO "jobs" VALUES(2,'run','{"run": "c9946be5"}','run:c9946be5','auto',0,'done',0,1,'f04c2e044a8a41a8a66a78079fa27668','{"phase": "scoring", "subset": "nut", "phase_done": 4, "phase_total": 4, "done": 18, "total": 18, "rate": 1.70710276707465, "seconds_left": 0.0}','{"run": "c9946be5", "n": 18, "seconds_fit": 5.173527943001318, "seconds_score": 10.544180671000504}',NULL,1.79598864313632869717e+09,1.7959886432605350017e+09,1.79598865950232648852e+09,1.79598865953508472445e+09);
INSERT INTO "jobs" VALUES(3,'study','{"study": "a7c081fb"}','study:a7c081fb','auto',0,'done',0,1,'6da506d38a6648449fe37157f72f5e2b','{"phase": "Decisions", "unit": "steps", "done": 0, "total": 0}','{"study": "a7c081fb", "name": "decisions", "sentence": "On a sample of 18 of 18 test images: No clear difference in expected cost between cuts by cost and by isotonic (0.33 against 0.33 an image; 0.00 to 0.00 less). Cuts are placed on half of the test images (12) and measured on the other half (6)."}',NULL,1.79598866020113515857e+09,1.79598866027395367627e+09,1.79598866166658425328e+09,1.79598866167072367672e+09);
INSERT INTO "jobs" VALUES(4,'run','{"run": "406e3169"}','run:406e3169','auto',0,'queued',0,0,NULL,'{}',NULL,NULL,1.79598866179914164542e+09,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(5,'study','{"study": "16d7cf7f"}','study:16d7cf7f','auto',0,'queued',0,0,NULL,'{}',NULL,NULL,1.79598866185018849373e+09,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(6,'map','{"run": "c9946be5", "image": "69cd46eee9a01e1f"}','map:c9946be5:69cd46eee9a01e1f','auto',1,'queued',0,0,NULL,'{}',NULL,NULL,1.79598866186994075779e+09,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(7,'single','{"run": "fb112f90", "subset": "bolt", "path": "@HOME@/uploads/b24995e485da6dc1bc9e63638204d296", "name": "bolt.png", "map": "@HOME@/uploads/b24995e485da6dc1bc9e63638204d296-fb112f90-0c4dceaa.map"}','single:fb112f90:bolt:b24995e485da6dc1bc9e63638204d296','auto',1,'queued',0,0,NULL,'{}',NULL,NULL,1.79598866190526890761e+09,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(8,'import','{"source": "@DATA@", "policy": null}','import:@DATA@','auto',0,'queued',0,0,NULL,'{}',NULL,NULL,1.79598866190696239471e+09,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(9,'import','{"source": "@DATA@", "name": "parts"}','import:parts.zip','auto',0,'queued',0,0,NULL,'{}',NULL,NULL,1.79598866191787219048e+09,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(10,'import','{"source": "@DATA@", "then": ["filterbank"]}','import:demo','auto',0,'queued',0,0,NULL,'{}',NULL,NULL,1.79598866193391203875e+09,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(11,'fetch','{"benchmark": "madbench", "only": "mvtec", "to": "@HOME@/madbench", "then": "import"}','fetch:@HOME@/madbench','auto',0,'queued',0,0,NULL,'{}',NULL,NULL,1.79598866194408893584e+09,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(12,'report','{"runs": ["fb112f90"], "subset": null, "rule": null, "draws": 20, "seed": 0}','report:e6faf4025dc7964b31116ad0','auto',1,'queued',0,0,NULL,'{}',NULL,NULL,1.79598866206100344659e+09,NULL,NULL,NULL);
CREATE TABLE reviewers (
	name VARCHAR(200) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	login VARCHAR(320), 
	created FLOAT NOT NULL, 
	CONSTRAINT pk_reviewers PRIMARY KEY (name), 
	CONSTRAINT uq_reviewers_login UNIQUE (login)
);
INSERT INTO "reviewers" VALUES('Ada','adjudicator',NULL,1.79598865958256864545e+09);
INSERT INTO "reviewers" VALUES('Ben','reviewer',NULL,1.79598865959647130963e+09);
CREATE TABLE run_subsets (
	run_id VARCHAR(16) NOT NULL, 
	subset VARCHAR(200) NOT NULL, 
	fit VARCHAR(40), 
	seconds_fit FLOAT NOT NULL, 
	seconds_score FLOAT NOT NULL, 
	facts JSON NOT NULL, 
	CONSTRAINT pk_run_subsets PRIMARY KEY (run_id, subset), 
	CONSTRAINT fk_run_subsets_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "run_subsets" VALUES('fb112f90','bolt','e082c9e8f2c4b848bbd5fd40',2.93212766200031182961e+00,4.5703689520005355007e+00,'{"normals_in_bank": 4, "filters": 118, "working_scale": 7.1554, "grid": 32, "peak_memory": {"rss": 851611648, "cuda": null, "since": "this work began"}, "energy": null, "normal_maps": {"threshold": 0.00041479701758362353, "quantile": 0.999, "maps": 4, "of": "training normals that it was fitted on, which look too normal to it"}}');
INSERT INTO "run_subsets" VALUES('fb112f90','nut','a4d68da451bb8e2b395df7f7',2.40366427699973428389e+00,4.17745520799962832825e+00,'{"normals_in_bank": 4, "filters": 118, "working_scale": 7.1554, "grid": 32, "peak_memory": {"rss": 911233024, "cuda": null, "since": "this work began"}, "energy": null, "normal_maps": {"threshold": 0.00043662977986969054, "quantile": 0.999, "maps": 4, "of": "training normals that it was fitted on, which look too normal to it"}}');
INSERT INTO "run_subsets" VALUES('c9946be5','bolt','5acd81f78f3e08b8820b88d2',2.30538573500052734743e+00,4.87544108900056,'{"normals_in_bank": 4, "filters": 118, "working_scale": 7.1554, "grid": 32, "peak_memory": {"rss": 913911808, "cuda": null, "since": "this work began"}, "energy": null}');
INSERT INTO "run_subsets" VALUES('c9946be5','nut','341878713f7a3be19dbfe002',2.86814220800079056061e+00,5.66873958199994376627e+00,'{"normals_in_bank": 4, "filters": 118, "working_scale": 7.1554, "grid": 32, "peak_memory": {"rss": 932200448, "cuda": null, "since": "this work began"}, "energy": null}');
CREATE TABLE runs (
	id VARCHAR(16) NOT NULL, 
	dataset_id VARCHAR(16) NOT NULL, 
	dataset_version VARCHAR(32) NOT NULL, 
	title VARCHAR(200) NOT NULL, 
	scorer VARCHAR(80) NOT NULL, 
	parameters JSON NOT NULL, 
	subsets JSON NOT NULL, 
	image_limit INTEGER, 
	seed INTEGER NOT NULL, 
	device VARCHAR(40) NOT NULL, 
	map_policy VARCHAR(16) NOT NULL, 
	map_side INTEGER NOT NULL, 
	request VARCHAR(40) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	done INTEGER NOT NULL, 
	total INTEGER NOT NULL, 
	error TEXT, 
	created FLOAT NOT NULL, 
	started FLOAT, 
	finished FLOAT, 
	record JSON NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT fk_runs_dataset_id FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE, 
	CONSTRAINT uq_runs_request UNIQUE (request)
);
INSERT INTO "runs" VALUES('fb112f90','6f9568ac6a56','0cad0a652e1661a58d2c1147','Filter bank','filterbank','{"size": 256, "positions": "nearby", "reach": 1, "bank": 128, "reduction": "top5"}','["bolt", "nut"]',NULL,0,'auto','all',16,'bfd7e7a79f1aa28cdf4d067fcbe494fb','done',18,18,NULL,1.7959886022842521668e+09,1.79598862393021821981e+09,1.79598864297204756737e+09,'{"versions": {"python": "3.11.7", "torch": "2.14.1", "torchvision": "0.29.1", "anomalib": "2.7.0", "transformers": "5.24.0", "bitsandbytes": "0.50.2", "timm": "1.0.31", "numpy": "2.4.6", "pillow": "13.0.0"}, "device": {"id": "cpu", "name": "Intel(R) Xeon(R) Processor", "memory": 25276510208}, "code": "bd07ae4f1e6126a4"}');
INSERT INTO "runs" VALUES('c9946be5','6f9568ac6a56','0cad0a652e1661a58d2c1147','Filter bank, on demand','filterbank','{"size": 256, "positions": "nearby", "reach": 1, "bank": 128, "reduction": "top5"}','["bolt", "nut"]',NULL,1,'auto','on demand',16,'c70fc237a5244334ad18e5b3cfd3fcf2','done',18,18,NULL,1.79598864310964155197e+09,1.7959886434132549763e+09,1.79598865944533252715e+09,'{"versions": {"python": "3.11.7", "torch": "2.14.1", "torchvision": "0.29.1", "anomalib": "2.7.0", "transformers": "5.24.0", "bitsandbytes": "0.50.2", "timm": "1.0.31", "numpy": "2.4.6", "pillow": "13.0.0"}, "device": {"id": "cpu", "name": "Intel(R) Xeon(R) Processor", "memory": 25276510208}, "code": "bd07ae4f1e6126a4"}');
INSERT INTO "runs" VALUES('406e3169','6f9568ac6a56','0cad0a652e1661a58d2c1147','Waiting','filterbank','{"size": 256, "positions": "nearby", "reach": 1, "bank": 128, "reduction": "top5"}','["nut"]',3,0,'auto','all',16,'78634c78434a8fe8616dd48f4f75517b','queued',0,3,NULL,1.79598866176379847519e+09,NULL,NULL,'{}');
CREATE TABLE scores (
	run_id VARCHAR(16) NOT NULL, 
	image_id VARCHAR(32) NOT NULL, 
	subset VARCHAR(200) NOT NULL, 
	score FLOAT, 
	status VARCHAR(40) NOT NULL, 
	reason TEXT, 
	distribution BLOB, 
	detail JSON NOT NULL, 
	seconds FLOAT NOT NULL, 
	map_row INTEGER, 
	map_height INTEGER, 
	map_width INTEGER, 
	map_scale FLOAT, 
	created FLOAT NOT NULL, 
	CONSTRAINT pk_scores PRIMARY KEY (run_id, image_id), 
	CONSTRAINT fk_scores_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "scores" VALUES('fb112f90','7d9d6f6d67264746','bolt',2.60780546559793213745e+00,'ok',NULL,NULL,'{}',7.20819926666283472549e-02,7,13,16,2.67725849151611328125e+00,1.79598863165750408177e+09);
INSERT INTO "scores" VALUES('fb112f90','e478fb5bb58fe1ea','bolt',1.20489588043675199813e+00,'ok',NULL,NULL,'{}',7.20819926666283472549e-02,2,13,16,1.42662584781646728515e+00,1.79598863174808335303e+09);
INSERT INTO "scores" VALUES('fb112f90','e3b6a9a5a6b08acf','bolt',1.17153860787611185934e+00,'ok',NULL,NULL,'{}',7.20819926666283472549e-02,1,13,16,1.32123172283172607421e+00,1.79598863174808335303e+09);
INSERT INTO "scores" VALUES('fb112f90','67104efde33882db','bolt',3.19260113395568811966e+00,'ok',NULL,NULL,'{}',7.20819926666283472549e-02,4,13,16,3.66014409065246582031e+00,1.79598863174808335303e+09);
INSERT INTO "scores" VALUES('fb112f90','f4f28bcdbd4b951d','bolt',2.61019936449280587353e+00,'ok',NULL,NULL,'{}',7.20819926666283472549e-02,8,13,16,2.69014954566955566406e+00,1.79598863174808335303e+09);
INSERT INTO "scores" VALUES('fb112f90','69cd46eee9a01e1f','bolt',2.63077687117748126865e+00,'ok',NULL,NULL,'{}',7.20819926666283472549e-02,6,13,16,2.72337651252746582031e+00,1.79598863174808335303e+09);
INSERT INTO "scores" VALUES('fb112f90','96b143000cffad05','bolt',3.14895679656325322426e+00,'ok',NULL,NULL,'{}',7.20819926666283472549e-02,3,13,16,3.56210112571716308593e+00,1.79598863174808335303e+09);
INSERT INTO "scores" VALUES('fb112f90','98fa504e37cd0e43','bolt',1.13542827009791280623e+00,'ok',NULL,NULL,'{}',7.20819926666283472549e-02,0,13,16,1.30572307109832763671e+00,1.79598863174808335303e+09);
INSERT INTO "scores" VALUES('fb112f90','7c26f69e7bcb213c','bolt',3.18647269468481963983e+00,'ok',NULL,NULL,'{}',7.20819926666283472549e-02,5,13,16,3.64611673355102539062e+00,1.79598863174808335303e+09);
INSERT INTO "scores" VALUES('fb112f90','9c53e4d7ea11be95','nut',2.71714069030997240616e+00,'ok',NULL,NULL,'{}',3.45655904444962872035e-02,7,13,16,2.9542369842529296875e+00,1.79598863841272330288e+09);
INSERT INTO "scores" VALUES('fb112f90','a8426240ccb9f058','nut',1.29707590381546711277e+00,'ok',NULL,NULL,'{}',3.45655904444962872035e-02,2,13,16,1.34832692146301269531e+00,1.79598863843775177003e+09);
INSERT INTO "scores" VALUES('fb112f90','2361915c642deda8','nut',1.10048771304328263376e+00,'ok',NULL,NULL,'{}',3.45655904444962872035e-02,1,13,16,1.10602223873138427734e+00,1.79598863843775177003e+09);
INSERT INTO "scores" VALUES('fb112f90','0a28f4c30e8f93f7','nut',3.07029155878032122828e+00,'ok',NULL,NULL,'{}',3.45655904444962872035e-02,4,13,16,3.58201694488525390625e+00,1.79598863843775177003e+09);
INSERT INTO "scores" VALUES('fb112f90','f6256e9c579a0f01','nut',2.73063535552199310174e+00,'ok',NULL,NULL,'{}',3.45655904444962872035e-02,8,13,16,3.001842498779296875e+00,1.79598863843775177003e+09);
INSERT INTO "scores" VALUES('fb112f90','0c0f6b779ad1fa4d','nut',2.72466242077147091649e+00,'ok',NULL,NULL,'{}',3.45655904444962872035e-02,6,13,16,2.98020339012146,1.79598863843775177003e+09);
INSERT INTO "scores" VALUES('fb112f90','ba99a0840cce5dc9','nut',3.05143982562713489414e+00,'ok',NULL,NULL,'{}',3.45655904444962872035e-02,3,13,16,3.53553080558776855468e+00,1.79598863843775177003e+09);
INSERT INTO "scores" VALUES('fb112f90','a292abb18cfc3dcf','nut',1.18279532929200947855e+00,'ok',NULL,NULL,'{}',3.45655904444962872035e-02,0,13,16,1.33103227615356445312e+00,1.79598863843775177003e+09);
INSERT INTO "scores" VALUES('fb112f90','0e58650038c78b5d','nut',3.09715874765704324289e+00,'ok',NULL,NULL,'{}',3.45655904444962872035e-02,5,13,16,3.59574651718139648437e+00,1.79598863843775177003e+09);
INSERT INTO "scores" VALUES('c9946be5','f4f28bcdbd4b951d','bolt',2.61019936449280587353e+00,'ok',NULL,NULL,'{}',4.1302227111171103957e-02,NULL,NULL,NULL,NULL,1.79598865064532208445e+09);
INSERT INTO "scores" VALUES('c9946be5','e478fb5bb58fe1ea','bolt',1.20489588043675199813e+00,'ok',NULL,NULL,'{}',4.1302227111171103957e-02,NULL,NULL,NULL,NULL,1.79598865069869565967e+09);
INSERT INTO "scores" VALUES('c9946be5','69cd46eee9a01e1f','bolt',2.63077687117748126865e+00,'ok',NULL,NULL,'{}',4.1302227111171103957e-02,NULL,NULL,NULL,NULL,1.79598865069869565967e+09);
INSERT INTO "scores" VALUES('c9946be5','7d9d6f6d67264746','bolt',2.60780546559793213745e+00,'ok',NULL,NULL,'{}',4.1302227111171103957e-02,NULL,NULL,NULL,NULL,1.79598865069869565967e+09);
INSERT INTO "scores" VALUES('c9946be5','e3b6a9a5a6b08acf','bolt',1.17153860787611185934e+00,'ok',NULL,NULL,'{}',4.1302227111171103957e-02,NULL,NULL,NULL,NULL,1.79598865069869565967e+09);
INSERT INTO "scores" VALUES('c9946be5','98fa504e37cd0e43','bolt',1.13542827009791280623e+00,'ok',NULL,NULL,'{}',4.1302227111171103957e-02,NULL,NULL,NULL,NULL,1.79598865069869565967e+09);
INSERT INTO "scores" VALUES('c9946be5','67104efde33882db','bolt',3.19260113395568811966e+00,'ok',NULL,NULL,'{}',4.1302227111171103957e-02,NULL,NULL,NULL,NULL,1.79598865069869565967e+09);
INSERT INTO "scores" VALUES('c9946be5','96b143000cffad05','bolt',3.14895679656325322426e+00,'ok',NULL,NULL,'{}',4.1302227111171103957e-02,NULL,NULL,NULL,NULL,1.79598865069869565967e+09);
INSERT INTO "scores" VALUES('c9946be5','7c26f69e7bcb213c','bolt',3.18647269468481963983e+00,'ok',NULL,NULL,'{}',4.1302227111171103957e-02,NULL,NULL,NULL,NULL,1.79598865069869565967e+09);
INSERT INTO "scores" VALUES('c9946be5','f6256e9c579a0f01','nut',2.73063535552199310174e+00,'ok',NULL,NULL,'{}',4.8142989222166455987e-02,NULL,NULL,NULL,NULL,1.79598865931476044653e+09);
INSERT INTO "scores" VALUES('c9946be5','a8426240ccb9f058','nut',1.29707590381546711277e+00,'ok',NULL,NULL,'{}',4.8142989222166455987e-02,NULL,NULL,NULL,NULL,1.79598865935503530506e+09);
INSERT INTO "scores" VALUES('c9946be5','0c0f6b779ad1fa4d','nut',2.72466242077147091649e+00,'ok',NULL,NULL,'{}',4.8142989222166455987e-02,NULL,NULL,NULL,NULL,1.79598865935503530506e+09);
INSERT INTO "scores" VALUES('c9946be5','9c53e4d7ea11be95','nut',2.71714069030997240616e+00,'ok',NULL,NULL,'{}',4.8142989222166455987e-02,NULL,NULL,NULL,NULL,1.79598865935503530506e+09);
INSERT INTO "scores" VALUES('c9946be5','2361915c642deda8','nut',1.10048771304328263376e+00,'ok',NULL,NULL,'{}',4.8142989222166455987e-02,NULL,NULL,NULL,NULL,1.79598865935503530506e+09);
INSERT INTO "scores" VALUES('c9946be5','a292abb18cfc3dcf','nut',1.18279532929200947855e+00,'ok',NULL,NULL,'{}',4.8142989222166455987e-02,NULL,NULL,NULL,NULL,1.79598865935503530506e+09);
INSERT INTO "scores" VALUES('c9946be5','0a28f4c30e8f93f7','nut',3.07029155878032122828e+00,'ok',NULL,NULL,'{}',4.8142989222166455987e-02,NULL,NULL,NULL,NULL,1.79598865935503530506e+09);
INSERT INTO "scores" VALUES('c9946be5','ba99a0840cce5dc9','nut',3.05143982562713489414e+00,'ok',NULL,NULL,'{}',4.8142989222166455987e-02,NULL,NULL,NULL,NULL,1.79598865935503530506e+09);
INSERT INTO "scores" VALUES('c9946be5','0e58650038c78b5d','nut',3.09715874765704324289e+00,'ok',NULL,NULL,'{}',4.8142989222166455987e-02,NULL,NULL,NULL,NULL,1.79598865935503530506e+09);
CREATE TABLE studies (
	id VARCHAR(16) NOT NULL, 
	dataset_id VARCHAR(16) NOT NULL, 
	dataset_version VARCHAR(32) NOT NULL, 
	study VARCHAR(40) NOT NULL, 
	parameters JSON NOT NULL, 
	runs JSON NOT NULL, 
	quick BOOLEAN NOT NULL, 
	seed INTEGER NOT NULL, 
	request VARCHAR(40) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	error TEXT, 
	finding JSON, 
	created FLOAT NOT NULL, 
	finished FLOAT, 
	CONSTRAINT pk_studies PRIMARY KEY (id), 
	CONSTRAINT fk_studies_dataset_id FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE, 
	CONSTRAINT uq_studies_request UNIQUE (request)
);
INSERT INTO "studies" VALUES('a7c081fb','6f9568ac6a56','0cad0a652e1661a58d2c1147','decisions','{"under": 5.0, "over": 1.0, "overkill": 0.05, "confidence": 0.9}','["fb112f90"]',1,0,'e01b690c615607033328f995488d4651','done',NULL,'{"study": "decisions", "title": "Decisions", "sentence": "On a sample of 18 of 18 test images: No clear difference in expected cost between cuts by cost and by isotonic (0.33 against 0.33 an image; 0.00 to 0.00 less). Cuts are placed on half of the test images (12) and measured on the other half (6).", "caveat": "The cuts hold for images like these and for this scorer''s units, and the cost for this mix of levels. The interval of a difference in cost also holds that other images would place other cuts; those of the tables keep the cuts as they are.", "tables": {"ways": {"columns": ["scorer", "subset", "way", "images", "kappa", "kappa_low", "kappa_high", "cost", "cost_low", "cost_high", "exact", "exact_low", "exact_high", "cuts"], "rows": [["Filter bank", "bolt", "cost", 3, 0.8, 0.8, 0.8, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666, "1.89087, 1.89087"], ["Filter bank", "bolt", "isotonic", 3, 0.8, 0.8, 0.8, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666, "1.89087, 1.89087"], ["Filter bank", "bolt", "hand", 3, 0.0, 0.0, 0.0, 3.6666666666666665, 3.6666666666666665, 3.6666666666666665, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333, "2.60972, 3.01936"], ["Filter bank", "nut", "cost", 3, 0.8, 0.8, 0.8, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666, "1.94997, 1.94997"], ["Filter bank", "nut", "isotonic", 3, 0.8, 0.8, 0.8, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666, "1.94997, 1.94997"]]}, "confusion": {"columns": ["scorer", "subset", "way", "level", "called", "images"], "rows": [["Filter bank", "bolt", "cost", 0.0, 0.0, 1], ["Filter bank", "bolt", "cost", 0.0, 1.0, 0], ["Filter bank", "bolt", "cost", 0.0, 2.0, 0], ["Filter bank", "bolt", "cost", 1.0, 0.0, 0], ["Filter bank", "bolt", "cost", 1.0, 1.0, 0], ["Filter bank", "bolt", "cost", 1.0, 2.0, 1], ["Filter bank", "bolt", "cost", 2.0, 0.0, 0], ["Filter bank", "bolt", "cost", 2.0, 1.0, 0], ["Filter bank", "bolt", "cost", 2.0, 2.0, 1], ["Filter bank", "bolt", "isotonic", 0.0, 0.0, 1], ["Filter bank", "bolt", "isotonic", 0.0, 1.0, 0], ["Filter bank", "bolt", "isotonic", 0.0, 2.0, 0], ["Filter bank", "bolt", "isotonic", 1.0, 0.0, 0], ["Filter bank", "bolt", "isotonic", 1.0, 1.0, 0], ["Filter bank", "bolt", "isotonic", 1.0, 2.0, 1], ["Filter bank", "bolt", "isotonic", 2.0, 0.0, 0], ["Filter bank", "bolt", "isotonic", 2.0, 1.0, 0], ["Filter bank", "bolt", "isotonic", 2.0, 2.0, 1], ["Filter bank", "bolt", "hand", 0.0, 0.0, 1], ["Filter bank", "bolt", "hand", 0.0, 1.0, 0], ["Filter bank", "bolt", "hand", 0.0, 2.0, 0], ["Filter bank", "bolt", "hand", 1.0, 0.0, 0], ["Filter bank", "bolt", "hand", 1.0, 1.0, 0], ["Filter bank", "bolt", "hand", 1.0, 2.0, 1], ["Filter bank", "bolt", "hand", 2.0, 0.0, 1], ["Filter bank", "bolt", "hand", 2.0, 1.0, 0], ["Filter bank", "bolt", "hand", 2.0, 2.0, 0], ["Filter bank", "nut", "cost", 0.0, 0.0, 1], ["Filter bank", "nut", "cost", 0.0, 1.0, 0], ["Filter bank", "nut", "cost", 0.0, 2.0, 0], ["Filter bank", "nut", "cost", 1.0, 0.0, 0], ["Filter bank", "nut", "cost", 1.0, 1.0, 0], ["Filter bank", "nut", "cost", 1.0, 2.0, 1], ["Filter bank", "nut", "cost", 2.0, 0.0, 0], ["Filter bank", "nut", "cost", 2.0, 1.0, 0], ["Filter bank", "nut", "cost", 2.0, 2.0, 1], ["Filter bank", "nut", "isotonic", 0.0, 0.0, 1], ["Filter bank", "nut", "isotonic", 0.0, 1.0, 0], ["Filter bank", "nut", "isotonic", 0.0, 2.0, 0], ["Filter bank", "nut", "isotonic", 1.0, 0.0, 0], ["Filter bank", "nut", "isotonic", 1.0, 1.0, 0], ["Filter bank", "nut", "isotonic", 1.0, 2.0, 1], ["Filter bank", "nut", "isotonic", 2.0, 0.0, 0], ["Filter bank", "nut", "isotonic", 2.0, 1.0, 0], ["Filter bank", "nut", "isotonic", 2.0, 2.0, 1]]}, "misses": {"columns": ["scorer", "subset", "cut", "overkill", "level", "images", "miss_rate", "low", "high"], "rows": [["Filter bank", "bolt", 1.171538607876112, 1.0, 1.0, 1, 0.0, 0.0, 0.7934506856227626], ["Filter bank", "bolt", 1.171538607876112, 1.0, 2.0, 1, 0.0, 0.0, 0.7934506856227626], ["Filter bank", "nut", 1.1827953292920097, 1.0, 1.0, 1, 0.0, 0.0, 0.7934506856227626], ["Filter bank", "nut", 1.1827953292920097, 1.0, 2.0, 1, 0.0, 0.0, 0.7934506856227626]]}, "intervals": {"columns": ["scorer", "subset", "confidence", "radius", "covered", "covered_low", "covered_high", "levels_within", "images"], "rows": [["Filter bank", "bolt", 0.9, null, 1.0, 0.4385029682449546, 1.0, 3.0, 3], ["Filter bank", "nut", 0.9, null, 1.0, 0.4385029682449546, 1.0, 3.0, 3]]}}, "facts": {"images": 18, "test_images": 18, "bootstrap_draws": 300, "seed": 0, "parameters": {"under": 5.0, "over": 1.0, "overkill": 0.05, "confidence": 0.9}, "cuts": {"bolt": {"placed_on": "half of the scored images", "placed": 6, "measured": 3}, "nut": {"placed_on": "half of the scored images", "placed": 6, "measured": 3}}, "record": {"versions": {"python": "3.11.7", "torch": "2.14.1", "torchvision": "0.29.1", "anomalib": "2.7.0", "transformers": "5.24.0", "bitsandbytes": "0.50.2", "timm": "1.0.31", "numpy": "2.4.6", "pillow": "13.0.0"}, "device": {"id": "cpu", "name": "Intel(R) Xeon(R) Processor", "memory": 25276510208}}, "request": {"parameters": {"under": 5.0, "over": 1.0, "overkill": 0.05, "confidence": 0.9}, "runs": ["fb112f90"], "quick": true, "seed": 0, "dataset": "6f9568ac6a56", "dataset_version": "0cad0a652e1661a58d2c1147", "code": "b2ff206039424d6a"}, "seconds": 1.25}, "images": {}}',1.79598866013083887098e+09,1.79598866160447597504e+09);
INSERT INTO "studies" VALUES('16d7cf7f','6f9568ac6a56','0cad0a652e1661a58d2c1147','cost','{"metric": "c_index"}','["c9946be5"]',1,0,'a95a27af97f1db9d4ff2d38f5c297b5f','queued',NULL,NULL,1795988661.83625,NULL);
CREATE TABLE workers (
	id VARCHAR(40) NOT NULL, 
	host VARCHAR(200) NOT NULL, 
	pid INTEGER NOT NULL, 
	device VARCHAR(40) NOT NULL, 
	facts JSON NOT NULL, 
	job INTEGER, 
	started FLOAT NOT NULL, 
	heartbeat FLOAT NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE INDEX ix_jobs_key ON jobs ("key");
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE INDEX ix_runs_dataset_id ON runs (dataset_id);
CREATE INDEX ix_images_content_hash ON images (content_hash);
CREATE INDEX ix_audit_events_reviewer_time ON audit_events (reviewer, time);
CREATE INDEX ix_audit_places_dataset_id_image_id ON audit_places (dataset_id, image_id);
CREATE INDEX ix_studies_dataset_id ON studies (dataset_id);
COMMIT;
